package local

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

func open(t testing.TB, cfg Config) *Site {
	t.Helper()
	if cfg.ID == "" {
		cfg.ID = "alpha"
	}
	if cfg.MinFree == 0 {
		cfg.MinFree = -1
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	for name, cfg := range map[string]func(t *testing.T) Config{
		"disk":   func(t *testing.T) Config { return Config{Dir: t.TempDir()} },
		"small":  func(t *testing.T) Config { return Config{Dir: t.TempDir(), SegmentSize: 64 << 10} },
		"memory": func(t *testing.T) Config { return Config{FS: durable.Mem(1 << 30), SegmentSize: 4 << 10} },
	} {
		t.Run(name, func(t *testing.T) {
			cloudtest.Site(t, func(t *testing.T) cloud.Site { return open(t, cfg(t)) })
			cloudtest.Owners(t, open(t, cfg(t)))
		})
	}
}
