package measure

import (
	"testing"
	"time"
)

func TestRow(t *testing.T) {
	r, err := OpenRow(t.Context(), t.TempDir(), 4, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := r.Latency(t.Context(), 1<<10, 5); err != nil || len(all) != 5 || all[0] <= 0 {
		t.Error(all, err)
	}
	if rate, err := r.Throughput(t.Context(), 64<<10, 2, 20*time.Millisecond); err != nil || rate <= 0 {
		t.Error(rate, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestRoutes(t *testing.T) {
	r, err := Routes()
	if err != nil || r.Demands != 10_000 || r.Changed == 0 || r.Full <= 0 || r.Cut <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
	t.Logf("%+v", r)
}

func TestReroute(t *testing.T) {
	took, moved, err := Reroute(t.Context(), t.TempDir())
	if err != nil || moved == 0 || took <= 0 {
		t.Errorf("%v for %d flows: %v", took, moved, err)
	}
	t.Logf("%v for %d flows", took, moved)
}
