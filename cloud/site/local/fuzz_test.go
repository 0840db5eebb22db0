package local

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
)

const fuzzSalt = 0x0123456789abcdef

// sampleSegment is a segment with a piece, a commit and a kill.
func sampleSegment() []byte {
	b := encodeSegHeader("alpha", 1, fuzzSalt)
	piece := cloudtest.Piece(cloudtest.NewRef("home", 1, 1), 1, 0, 100)
	h := header{recPiece, uint32(len(piece)), 9, 0, crc(piece)}
	at := len(b)
	b = append(b, make([]byte, recHeader)...)
	h.put(b[at:], fuzzSalt, uint32(at))
	b = append(b, piece...)
	b = append(b, make([]byte, int(step(h.size))-recHeader-len(piece))...)
	commit := ctlMeta{control{recCommit, cloudtest.NewRef("home", 1, 1), 10, 9, 1, 104, 4}, []byte("meta")}
	b = appendControl(b, &commit, fuzzSalt, uint32(len(b)))
	k := ctlMeta{control{typ: recKill, ref: cloudtest.NewRef("home", 2, 1), b: 11}, nil}
	return appendControl(b, &k, fuzzSalt, uint32(len(b)))
}

func TestScanFindsAll(t *testing.T) {
	b := sampleSegment()
	c, end, err := scan(bytes.NewReader(b), int64(len(b)), fuzzSalt)
	if err != nil || end != int64(len(b)) || len(c.runs) != 1 || len(c.ctls) != 2 {
		t.Fatalf("found %d runs and %d controls up to %d of %d: %v", len(c.runs), len(c.ctls), end, len(b), err)
	}
	// Every cut and every damaged byte costs at most the record it hits.
	for i := segHeader; i < len(b); i++ {
		spoilt := bytes.Clone(b)
		spoilt[i] ^= 0x40
		c, _, err := scan(bytes.NewReader(spoilt), int64(len(b)), fuzzSalt)
		if err != nil || len(c.runs)+len(c.ctls) < 2 {
			t.Fatalf("byte %d damaged: %d records left, %v", i, len(c.runs)+len(c.ctls), err)
		}
		if _, end, err := scan(bytes.NewReader(b[:i]), int64(i), fuzzSalt); err != nil || end > int64(i)+7 {
			t.Fatalf("cut at %d: end %d, %v", i, end, err)
		}
	}
}

// A piece whose content is a record of this very segment is not taken for one,
// since its owner cannot know the salt.
func TestPieceIsNoRecord(t *testing.T) {
	inner := sampleSegment()[segHeader:]
	binary.BigEndian.PutUint64(inner, fuzzSalt+1)
	b := encodeSegHeader("alpha", 1, fuzzSalt)
	b = append(append(b, make([]byte, recHeader)...), inner...) // the outer header is lost
	c, _, err := scan(bytes.NewReader(b), int64(len(b)), fuzzSalt+2)
	if err != nil || len(c.runs)+len(c.ctls) != 0 {
		t.Fatalf("%d records found inside a piece, %v", len(c.runs)+len(c.ctls), err)
	}
}

// checkContent fails unless all that was found lies in the file, in bounds.
func checkContent(t *testing.T, c content, size int64) {
	for _, r := range c.runs {
		if !r.within(align(size)) {
			t.Fatalf("run %+v is not within %d bytes", r, size)
		}
	}
	for _, p := range c.ctls {
		if p.ref.Owner == "" || len(p.ref.Owner) > cloud.MaxOwner || int64(p.off)+recHeader+int64(p.control.size()) > size {
			t.Fatalf("control %+v is not within %d bytes", p, size)
		}
	}
}

func FuzzScan(f *testing.F) {
	b := sampleSegment()
	f.Add(b[segHeader:])
	f.Add(b[segHeader : len(b)-9])
	f.Add(append(make([]byte, 24), b[segHeader:]...))
	f.Fuzz(func(t *testing.T, tail []byte) {
		b := append(encodeSegHeader("alpha", 1, fuzzSalt), tail...)
		c, end, err := scan(bytes.NewReader(b), int64(len(b)), fuzzSalt)
		if err != nil || end > align(int64(len(b))) {
			t.Fatalf("end %d of %d, %v", end, len(b), err)
		}
		checkContent(t, c, int64(len(b)))
	})
}

func FuzzFooter(f *testing.F) {
	b := sampleSegment()
	c, _, err := scan(bytes.NewReader(b), int64(len(b)), fuzzSalt)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.encodeFooter(), int64(len(b)))
	f.Add((&content{}).encodeFooter(), int64(segHeader))
	f.Fuzz(func(t *testing.T, foot []byte, limit int64) {
		limit = min(max(limit, 0), maxSegment*2)
		c, ok := parseFooter(foot, limit)
		if !ok {
			return
		}
		checkContent(t, c, limit)
		if !bytes.Equal(c.encodeFooter(), foot) {
			t.Fatal("a footer that was accepted is written otherwise")
		}
	})
}

func FuzzControl(f *testing.F) {
	c := control{recCommit, cloudtest.NewRef("home", 1, 1), 10, 9, 1, 104, 4}
	f.Add(append(c.append(nil), "meta"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, meta, ok := parseRecord(recCommit, b)
		if ok && !bytes.Equal(append(c.append(nil), meta...), b) {
			t.Fatal("a control that was accepted is written otherwise")
		}
	})
}

func FuzzSegHeader(f *testing.F) {
	f.Add(encodeSegHeader("alpha", 3, fuzzSalt))
	f.Fuzz(func(t *testing.T, b []byte) {
		if site, _, _, ok := parseSegHeader(b); ok && len(site) > maxSiteID {
			t.Fatal("the site's name is too long")
		}
	})
}
