package measure

import (
	"slices"
	"testing"
	"time"
)

func BenchmarkTenHops(b *testing.B) {
	r, err := OpenRow(b.Context(), b.TempDir(), 11, 16<<20)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ResetTimer()
	all, err := r.Latency(b.Context(), 1<<10, b.N)
	if err != nil {
		b.Fatal(err)
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1e3, "ms-median")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1e3, "ms-p99")
}

func BenchmarkThreeHops(b *testing.B) {
	r, err := OpenRow(b.Context(), b.TempDir(), 4, 768<<20)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	rate, err := r.Throughput(b.Context(), 256<<10, 6, 2*time.Second)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(rate)/1e6, "Mbit/s")
}
