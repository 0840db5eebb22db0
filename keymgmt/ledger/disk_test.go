package ledger

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

const testBlock = 4096

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testConfig(fs durable.FS, s *keymgmttest.Stock) Config {
	return Config{FS: fs, Link: "x", Block: testBlock, Pad: 8 * testBlock, Source: s, Idle: time.Millisecond, Retry: time.Millisecond}
}

// used returns the disk of a ledger that has worked and was closed.
func used(t *testing.T) (*durable.Disk, *keymgmttest.Stock) {
	t.Helper()
	s := &keymgmttest.Stock{Link: "x", Block: testBlock}
	for i := range uint64(12) {
		s.Add(i)
	}
	d := durable.Mem(1 << 22)
	l, err := Open(testConfig(d, s))
	must(t, err)
	for range 3 {
		pad, err := l.Reserve(t.Context(), keymgmt.Data, 1000, 2000)
		must(t, err)
		must(t, pad.Burn())
	}
	must(t, l.Close())
	return d, s
}

func edit(t *testing.T, d durable.FS, name string, change func(b []byte) []byte) {
	t.Helper()
	f, err := d.Open(name, os.O_RDWR, 0)
	must(t, err)
	n, err := f.Size()
	must(t, err)
	b := make([]byte, n)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	b = change(b)
	must(t, f.Truncate(int64(len(b))))
	_, err = f.WriteAt(b, 0)
	must(t, err)
}

func TestDamageIsRefused(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 1; return b }
	}
	cut := func(b []byte) []byte { return b[:len(b)-1] }
	for name, c := range map[string]struct {
		file   string
		change func([]byte) []byte
	}{
		"all marks":    {marksName, func(b []byte) []byte { return make([]byte, len(b)) }},
		"marks short":  {marksName, cut},
		"table record": {tableName, flip(9)},
		"table guard":  {tableName, flip(recordSize*4 + 110)},
		"table short":  {tableName, cut},
		"ring short":   {padName(1), cut},
		"moved record": {tableName, func(b []byte) []byte {
			copy(b[recordSize:], bytes.Clone(b[2*recordSize:3*recordSize]))
			return b
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d, s := used(t)
			edit(t, d, c.file, c.change)
			_, err := Open(testConfig(d, s))
			if !qsc.IsKind(err, qsc.Corrupt) || !strings.Contains(err.Error(), c.file) {
				t.Fatalf("%v", err)
			}
		})
	}
}

// TestOneBadSector: any one page of the marks may be lost.
func TestOneBadSector(t *testing.T) {
	for page := range 2 * copies {
		d, s := used(t)
		l, err := Open(testConfig(d, s))
		must(t, err)
		before := l.Marks()
		must(t, l.Close())
		edit(t, d, marksName, func(b []byte) []byte { b[page*pageSize+100] ^= 1; return b })
		l, err = Open(testConfig(d, s))
		must(t, err)
		if after := l.Marks(); after.Lanes[0].Pos != before.Lanes[0].Pos {
			t.Fatalf("page %d: position %d became %d", page, before.Lanes[0].Pos, after.Lanes[0].Pos)
		}
		must(t, l.Close())
	}
}

func TestMarksMissing(t *testing.T) {
	d, s := used(t)
	must(t, d.Remove(marksName))
	if _, err := Open(testConfig(d, s)); !qsc.IsKind(err, qsc.Corrupt) {
		t.Fatalf("blocks without marks: %v", err)
	}
	d, s = used(t)
	must(t, d.Remove(padName(2)))
	if _, err := Open(testConfig(d, s)); !qsc.IsKind(err, qsc.Corrupt) {
		t.Fatalf("a missing ring: %v", err)
	}
}

func TestOtherLedger(t *testing.T) {
	d, s := used(t)
	for name, change := range map[string]func(c *Config){
		"link": func(c *Config) { c.Link = "y" }, "end": func(c *Config) { c.End = 1 },
		"epoch": func(c *Config) { c.Epoch = 1 }, "block": func(c *Config) { c.Block *= 2 }, "pad": func(c *Config) { c.Pad *= 2 },
	} {
		c := testConfig(d, s)
		change(&c)
		if _, err := Open(c); !qsc.IsKind(err, qsc.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	s := &keymgmttest.Stock{}
	for name, change := range map[string]func(c *Config){
		"no directory": func(c *Config) { c.FS = nil }, "no source": func(c *Config) { c.Source = nil },
		"no name": func(c *Config) { c.Link = "" }, "long name": func(c *Config) { c.Link = qsc.LinkID(strings.Repeat("x", 256)) },
		"end": func(c *Config) { c.End = 2 }, "small block": func(c *Config) { c.Block = 1024 }, "odd block": func(c *Config) { c.Block = 4100 },
		"huge block": func(c *Config) { c.Block = MaxBlock + 16 }, "small pad": func(c *Config) { c.Pad = 1 }, "huge pad": func(c *Config) { c.Pad = MaxPad + 1 },
	} {
		c := testConfig(durable.Mem(1<<22), s)
		change(&c)
		if _, err := Open(c); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := testConfig(durable.Mem(50_000), s)
	if _, err := Open(c); !qsc.IsKind(err, qsc.NoSpace) || !strings.Contains(err.Error(), "are free") {
		t.Errorf("full disk: %v", err)
	}
}

func TestWrongKeyRaisesAlarm(t *testing.T) {
	s := &keymgmttest.Stock{Link: "y", Block: testBlock}
	s.Add(2)
	l, err := Open(testConfig(durable.Mem(1<<22), s))
	must(t, err)
	defer l.Close()
	for end := time.Now().Add(30 * time.Second); len(l.Status().Alarms) == 0; time.Sleep(time.Millisecond) { // until the source was asked
		if time.Now().After(end) {
			t.Fatal("no alarm over another link's key")
		}
	}
}

func FuzzMarks(f *testing.F) {
	f.Add((&record{seq: 3, link: "x", block: 4096}).encode())
	f.Add(make([]byte, pageSize))
	f.Fuzz(func(t *testing.T, p []byte) {
		if r, ok := parseRecord(p); ok {
			if again, ok := parseRecord(r.encode()); !ok || again != r {
				t.Fatal("a record does not survive its own page")
			}
		}
	})
}

func FuzzBlock(f *testing.F) {
	f.Add((&block{state: present, index: 3}).encode(nil))
	f.Add(make([]byte, recordSize))
	f.Fuzz(func(t *testing.T, p []byte) {
		if b, ok := parseBlock(p); ok {
			if again, ok := parseBlock(b.encode(nil)); !ok || !bytes.Equal(again.encode(nil), b.encode(nil)) {
				t.Fatal("a block does not survive its own record")
			}
		}
	})
}
