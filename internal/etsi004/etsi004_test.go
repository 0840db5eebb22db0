package etsi004

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var testID = KSID{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x47, 0x77, 0x88, 0x88, 0x99, 0, 0xaa, 0xbb, 0xcc, 0xdd}

const testIDHex = "112233445566477788889900aabbccdd"

var (
	testQoS    = QoS{512, 40000, 5000, 10, 1, 6000, 3600, JSON}
	testQoSHex = "00000200 00009c40 00001388 0000000a 00000001 00001770 00000e10" +
		hex.EncodeToString([]byte(JSON)) + strings.Repeat("00", MimeSize-len(JSON))
)

// Every message to the byte, as the profile has it.
func TestMessagesToTheByte(t *testing.T) {
	open, err := AppendOpenRequest(nil, OpenRequest{"qkd://a@x", "b", testQoS, testID})
	if err != nil {
		t.Fatal(err)
	}
	key := make([]byte, GetOverhead+3+20)
	copy(key[KeyAt:], "abc")
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"open request":     {open, "010001 02 00000138" + hex.EncodeToString([]byte("qkd://a@x\x00b\x00")) + testQoSHex + testIDHex},
		"open response":    {AppendOpenResponse(nil, OpenResponse{QoSNotMet, testQoS, testID}), "010001 03 00000130 00000007" + testQoSHex + testIDHex},
		"get request":      {AppendGetRequest(nil, GetRequest{testID, 7, 1024}), "010001 04 00000018" + testIDHex + "00000007 00000400"},
		"get response":     {SealGetResponse(key, 7, 3, []byte("{}")), "010001 05 00000015 00000000 00000007 00000003 616263 00000002 7b7d"},
		"get failure":      {AppendGetFailure(nil, Insufficient, 7, 0), "010001 05 00000010 00000002 00000007 00000000 00000000"},
		"metadata too big": {AppendGetFailure(nil, MetadataTooBig, 7, 36), "010001 05 00000008 00000008 00000024"},
		"close request":    {AppendCloseRequest(nil, testID), "010001 08 00000010" + testIDHex},
		"close response":   {AppendCloseResponse(nil, NoConnection), "010001 09 00000004 00000004"},
	} {
		if !bytes.Equal(c.got, bytesOf(t, c.want)) {
			t.Errorf("%s: the message has other bytes than the profile's", name)
		}
	}
}

func TestRequestsComeBack(t *testing.T) {
	want := OpenRequest{"qkd://a@x", "b", testQoS, testID}
	b, err := AppendOpenRequest([]byte("before"), want)
	if err != nil {
		t.Fatal(err)
	}
	h, err := ParseHeader(b[6:14])
	if limit, ok := RequestLimit(h.Service); err != nil || !ok || h.Length > limit || int(h.Length) != len(b)-14 {
		t.Fatalf("%+v %v", h, err)
	}
	if got, err := ParseOpenRequest(b[14:]); err != nil || got != want {
		t.Fatalf("%+v %v", got, err)
	}
	r := OpenResponse{OK, testQoS, testID}
	if got, err := ParseOpenResponse(AppendOpenResponse(nil, r)[HeaderSize:]); err != nil || got != r {
		t.Fatalf("%+v %v", got, err)
	}
	if got, err := ParseOpenResponse([]byte{0, 0, 0, 5}); err != nil || got.Status != InUse {
		t.Fatalf("a bare status: %+v %v", got, err)
	}
	if _, err := ParseOpenResponse([]byte{0, 0, 0, 0}); err == nil {
		t.Fatal("a bare status of success has no stream")
	}
}

func TestOpenRequestBounds(t *testing.T) {
	long := strings.Repeat("x", MaxURI)
	for _, r := range []OpenRequest{
		{Source: long + "x"}, {Destination: "a\x00b"}, {Source: "\xff"},
		{QoS: QoS{Mimetype: strings.Repeat("m", MimeSize)}}, {QoS: QoS{Mimetype: "a\x00"}},
	} {
		if _, err := AppendOpenRequest(nil, r); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%v", err)
		}
	}
	b, err := AppendOpenRequest(nil, OpenRequest{Source: long, Destination: long})
	if err != nil || len(b) != HeaderSize+maxOpen {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if _, err := ParseOpenRequest(append(b[HeaderSize:], 0)); !qsc.IsKind(err, qsc.Corrupt) {
		t.Error(err)
	}
}

func TestMetadata(t *testing.T) {
	for _, mime := range []string{"", JSON, QSC} {
		room, ok := MetadataRoom(mime)
		most := Metadata{Age: 1 << 62, Hops: 1<<32 - 1, Class: ^qsc.Class(0)}
		if b := AppendMetadata(nil, mime, most); !ok || len(b) != room {
			t.Errorf("%q: %d bytes, room for %d", mime, len(b), room)
		}
	}
	if _, ok := MetadataRoom("text/plain"); ok {
		t.Error("text/plain is no mimetype of ours")
	}
	want := Metadata{Age: 1500 * time.Millisecond, Hops: 3, Class: qsc.Simulated, Known: true}
	if got, err := ParseMetadata(AppendMetadata(nil, QSC, want)); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := ParseMetadata([]byte(`{"age":5,"hops":1,"vendor":{}}`)); err != nil || got.Known || got.Hops != 1 {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{`{`, `{"age":-1}`, `{"hops":"x"}`, `[]`} {
		if _, err := ParseMetadata([]byte(bad)); !qsc.IsKind(err, qsc.Corrupt) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestStatusNames(t *testing.T) {
	for s := range statusCount {
		if s.String() == "" || failed(s) && asError("x", &StatusError{Status: s}) == nil {
			t.Errorf("status %d", s)
		}
	}
	if !strings.Contains(Status(99).String(), "99") || asError("x", &StatusError{Status: 99}) == nil {
		t.Error("an unknown status is not an error")
	}
}

// script is a KME that reads and discards what it is sent and answers what it is
// told to, whole or in bits.
type script struct {
	net.Conn
	r io.Reader
}

func (s script) Read(b []byte) (int, error)  { return s.r.Read(b) }
func (s script) Write(b []byte) (int, error) { return len(b), nil }
func (s script) Close() error                { return nil }
func (s script) SetDeadline(time.Time) error { return nil }
func scripted(answer []byte) *Client         { return NewClient(script{r: bytes.NewReader(answer)}) }

// The forms in which servers refuse a GET_KEY.
func TestRefusalsInEveryForm(t *testing.T) {
	for text, want := range map[string]StatusError{
		"010001 05 00000004 00000002":                            {Insufficient, 7, 0},
		"010001 05 00000008 00000008 00000024":                   {MetadataTooBig, 7, 36},
		"010001 05 00000010 00000002 00000009 00000000 00000000": {Insufficient, 9, 0},
		"010001 05 00000008 00000003 00000007":                   {PeerAway, 7, 0},
	} {
		c := scripted(bytesOf(t, text))
		_, err := c.Get(t.Context(), GetRequest{testID, 7, 0}, make([]byte, 32))
		var e *StatusError
		if !errors.As(err, &e) || *e != want || c.Broken() != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestClientRefusesWhatIsNoAnswer(t *testing.T) {
	for _, text := range []string{
		"", "010001 05 0000", "020101 05 00000004 00000002", "010001 03 00000004 00000002", "010001 05 00000000", "010001 05 00000003 000000",
		"010001 05 00000010 00000000 00000007 00000000 00000000",
		"010001 05 00000014 00000000 00000008 00000004 61626364 00000000",
		"010001 05 00000014 00000000 00000007 00000005 61626364 00000000",
		"010001 05 00000014 00000000 00000007 00000004 61626364 00000001",
		"010001 05 00000014 00000007 00000007 00000004 61626364 00000000",
		"010001 05 00000015 00000000 00000007 00000004 61626364 00000001 7b",
		"010001 05 ffffffff 00000000 00000007 00000004 61626364 fffffff0",
		"010001 05 00000014 00000000 00000007 00000004 616263",
	} {
		c := scripted(bytesOf(t, text))
		dst := []byte("....")
		if _, err := c.Get(t.Context(), GetRequest{testID, 7, 0}, dst); err == nil || c.Broken() == nil {
			t.Errorf("%q: error %v, broken %v", text, err, c.Broken())
		} else if bytes.ContainsAny(dst, "abcd") {
			t.Errorf("%q: bytes of a broken answer are left", text)
		}
	}
}

func TestClientReadsInBits(t *testing.T) {
	answer := bytesOf(t, "010001 05 00000016 00000000 00000007 00000004 61626364 00000002 7b7d")
	c := NewClient(script{r: iotest.OneByteReader(bytes.NewReader(answer))})
	dst := make([]byte, 4)
	if _, err := c.Get(t.Context(), GetRequest{testID, 7, 99}, dst); err != nil || string(dst) != "abcd" {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseStream(t.Context(), testID); !qsc.IsKind(err, qsc.Unreachable) {
		t.Fatal(err)
	}
}

func FuzzRequests(f *testing.F) {
	open, _ := AppendOpenRequest(nil, OpenRequest{"qkd://a@x", "b", testQoS, testID})
	f.Add(open[HeaderSize:])
	f.Add(AppendGetRequest(nil, GetRequest{testID, 1, 2})[HeaderSize:])
	f.Add(testID[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := ParseOpenRequest(b); err == nil {
			again, err := AppendOpenRequest(nil, o)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := ParseOpenRequest(again[HeaderSize:]); err != nil || back != o {
				t.Fatal("a request changes on its way")
			}
		}
		if g, err := ParseGetRequest(b); err == nil && !bytes.Equal(AppendGetRequest(nil, g)[HeaderSize:], b) {
			t.Fatal("a GET_KEY changes on its way")
		}
		if id, err := ParseCloseRequest(b); err == nil && !bytes.Equal(id[:], b) {
			t.Fatal("a CLOSE changes on its way")
		}
		if len(b) >= HeaderSize {
			_, _ = ParseHeader(b[:HeaderSize])
		}
	})
}

func FuzzAnswers(f *testing.F) {
	key := make([]byte, GetOverhead+64)
	f.Add(SealGetResponse(key, 0, 32, []byte(`{"age":1,"hops":2}`)), byte(0))
	f.Add(AppendGetFailure(nil, MetadataTooBig, 0, 9), byte(0))
	f.Add(AppendOpenResponse(nil, OpenResponse{OK, testQoS, testID}), byte(1))
	f.Add(AppendCloseResponse(nil, OK), byte(2))
	f.Fuzz(func(t *testing.T, b []byte, call byte) {
		c := scripted(b)
		var err error
		switch call % 3 {
		case 0:
			_, err = c.Get(t.Context(), GetRequest{testID, 0, 64}, make([]byte, 32))
		case 1:
			_, err = c.Open(t.Context(), OpenRequest{Source: "a", Destination: "b"})
		default:
			err = c.CloseStream(t.Context(), testID)
		}
		if _, ok := StatusOf(err); !ok && c.Broken() == nil {
			t.Fatalf("the connection goes on after %v", err)
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"age":1,"hops":2,"class":"its"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := ParseMetadata(b); err == nil && m.Age < 0 {
			t.Error("a negative age")
		}
	})
}
