package crash

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

// spoken are words that a computational or a clear channel would show: methods,
// handlers, types, headers, names of the network and of what is stored in it.
// None is shorter than eight bytes: random bytes have such a one once in 10¹¹ runs, and
// one of six bytes once in a million.
var spoken = []string{
	"patient-genome", "SiteCreate", "SiteCommit", "SiteDelete", "SiteStatus", "cloud/site", "transport", "remote.create",
	`"object"`, `"Object"`, `"default"`, `"policy"`, "HTTP/1.1", "application/", "not found", "already exists", pieceStart,
}

// pieceStart begins every piece of a share of two: its magic, its format and k.
const pieceStart = "QSCS\x01\x01\x01\x02\x03"

func forbidden(name string) (all [][]byte) {
	all = append(all, mark, []byte(name))
	for _, w := range spoken {
		all = append(all, []byte(w))
	}
	return all
}

// life puts, reads, asks for and removes an object, and fails at a few things:
// every method and its errors pass the wires.
func (n *network) life(name string, data []byte) {
	n.T.Helper()
	ctx, cancel := context.WithTimeout(n.T.Context(), opTime)
	defer cancel()
	if _, err := n.home.Put(ctx, name, bytes.NewReader(data), admin.PutOptions{Size: int64(len(data))}); err != nil {
		n.T.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := n.home.Get(ctx, name, &got, 0, -1); err != nil || !bytes.Equal(got.Bytes(), data) {
		n.T.Fatal("the object did not come back:", err)
	}
	if _, err := n.home.Rebuild(ctx); err != nil { // asks every site for what it has
		n.T.Fatal(err)
	}
	if err := n.home.Delete(ctx, name); err != nil {
		n.T.Fatal(err)
	}
}

// Between nodes nothing passes in clear but link names, frame headers and lengths.
func TestWireShowsNothing(t *testing.T) {
	n := open(t, preshared)
	const name = "ward-7/patient-genome.cram"
	for _, p := range n.Taps {
		p.Forbid(forbidden(name)...)
		p.Record()
	}
	data := content(1, 1<<20)
	n.life(name, data)
	var all int
	for link, p := range n.Taps {
		for _, b := range p.Recorded() {
			all += len(b)
			looksRandom(t, string(link), b)
		}
	}
	if all < 4*len(data) {
		t.Fatalf("only %d bytes were captured of a put to three sites and a get from two", all)
	}
	n.oracles()
	n.notStoredAndSent(data)
}

// looksRandom checks that a captured stream has no more structure than its frame
// headers: every byte value is about as frequent as every other. (A share under
// no pad would pass this; notStoredAndSent is for that.)
func looksRandom(t *testing.T, link string, b []byte) {
	t.Helper()
	if len(b) < 256<<10 {
		return
	}
	var count [256]float64
	for _, c := range b {
		count[c]++
	}
	want, chi := float64(len(b))/256, 0.0
	for v, c := range count {
		if v != 0 { // of headers
			chi += (c - want) * (c - want) / want
		}
	}
	if chi > 500 { // 254 degrees of freedom: the mean is 254, the deviation 23
		t.Errorf("link %s: byte values are not evenly spread: chi² = %.0f", link, chi)
	}
}

// notStoredAndSent checks that nothing a site stores passed a wire as it is
// stored: shares travel under pads only. It stores an object for that.
func (n *network) notStoredAndSent(data []byte) {
	n.T.Helper()
	if _, err := n.home.Put(n.T.Context(), "kept", bytes.NewReader(data), admin.PutOptions{Size: int64(len(data))}); err != nil {
		n.T.Fatal(err)
	}
	looked := 0
	for _, id := range sites {
		files, err := filepath.Glob(filepath.Join(n.Fleet.NodeDir(id), "site", "seg-*"))
		if err != nil {
			n.T.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				n.T.Fatal(err)
			}
			for at := 4096; at+32 <= len(b); at += 61<<10 + 7 {
				if what := b[at : at+32]; bytes.Count(what, []byte{0}) < 8 {
					looked++
					n.notSent(f, what)
				}
			}
		}
	}
	if looked < 3*10 {
		n.T.Fatalf("only %d samples of the stored shares were looked for", looked)
	}
}

func (n *network) notSent(file string, what []byte) {
	n.T.Helper()
	for link, p := range n.Taps {
		for _, b := range p.Recorded() {
			if bytes.Contains(b, what) {
				n.T.Fatalf("bytes of %s passed link %s as they are stored", filepath.Base(file), link)
			}
		}
	}
}
