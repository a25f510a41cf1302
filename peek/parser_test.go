package peek

import (
	"bytes"
	"errors"
	"testing"
	"unsafe"
)

func TestParserIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(Parser{}); got > 64 {
		t.Errorf("Parser takes %d bytes, want at most 64", got)
	}
}

// A caller may have everything at once, or byte by byte: the same hello.
func TestParseSmoke(t *testing.T) {
	wire := records(plainSpec(sni("a.example.com"), alpn("h2")).message(), maxRecordSize)
	var p Parser
	var h Hello
	for i := range wire {
		if err := p.Parse(wire[:i], &h); !errors.Is(err, ErrIncomplete) {
			t.Fatalf("prefix of %d bytes: %v", i, err)
		}
	}
	if err := p.Parse(wire, &h); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(h.ServerName, []byte("a.example.com")) || !h.ALPN.Contains("h2") || p.Consumed() != len(wire) {
		t.Errorf("got %q %q, %d bytes", h.ServerName, h.ALPN, p.Consumed())
	}
}
