package proxyheader_test

import (
	"bufio"
	"bytes"
	"errors"
	"net/netip"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"

	"github.com/seed-23b4a313/switchyard/balancer/proxyheader"
)

// FuzzParse holds Parse to its contract for any bytes: the answer stays the same however they arrive, the header lies
// within the input, and the library agrees with what is accepted.
func FuzzParse(f *testing.F) {
	for _, c := range good {
		f.Add([]byte(c.in))
	}
	for _, c := range bad {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var info proxyheader.Info
		n, err := proxyheader.Parse(in, &info)
		if err == nil && (n <= 0 || n > len(in) || n > proxyheader.MaxSize) || err != nil && n != 0 {
			t.Fatalf("Parse of %d bytes = %d, %v", len(in), n, err)
		}
		checkPrefixes(t, in, n, err)
		if err == nil {
			checkAgreement(t, in[:n], &info)
		}
	})
}

// checkPrefixes parses the input as it would arrive byte by byte: "not yet" until the answer, which then stays.
func checkPrefixes(t *testing.T, in []byte, n int, want error) {
	step := 1 + len(in)/500 // long inputs in larger pieces
	answered := false
	for cut := 0; cut <= len(in); cut += step {
		var info proxyheader.Info
		got, err := proxyheader.Parse(in[:cut], &info)
		if err == proxyheader.ErrIncomplete {
			if answered {
				t.Fatalf("%d bytes are incomplete after fewer had an answer", cut)
			}
			continue
		}
		answered = true
		if got != n || err != want {
			t.Fatalf("Parse of the first %d bytes = %d, %v; of all: %d, %v", cut, got, err, n, want)
		}
	}
}

// checkAgreement compares an accepted header with the library's reading. Where they differ on purpose: PROXY with an
// UNSPEC family, which the receiver may take or leave, and which the library refuses.
func checkAgreement(t *testing.T, header []byte, info *proxyheader.Info) {
	if header[0] == '\r' && header[12] == 0x21 && header[13] == 0x00 {
		if !info.Local {
			t.Fatalf("UNSPEC gives addresses: %+v", info)
		}
		return
	}
	r := bufio.NewReaderSize(bytes.NewReader(header), len(header)+16)
	h, err := proxyproto.Read(r)
	if err != nil || r.Buffered() != 0 {
		t.Fatalf("accepted %q, which the library answers with %v, %d bytes left", header, err, r.Buffered())
	}
	src, dst, ok := h.IPs()
	if h.Command.IsLocal() || !ok {
		if !info.Local {
			t.Fatalf("library: no addresses; Parse: %+v", info)
		}
		return
	}
	sport, dport, _ := h.Ports()
	want := proxyheader.Info{Source: addrPort(src, sport), Dest: addrPort(dst, dport)}
	if info.Source != want.Source || info.Dest != want.Dest || info.Local {
		t.Fatalf("Parse(%q) = %+v; library: %+v", header, info, want)
	}
}

func addrPort(ip []byte, port int) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), uint16(port))
}

// FuzzAppend writes any values there are: an error and nothing written, or a header that is read back as given.
func FuzzAppend(f *testing.F) {
	f.Add(2, []byte{192, 0, 2, 1}, []byte{198, 51, 100, 1}, uint16(1), uint16(2), "a.example.com", "h2", []byte("id"))
	f.Add(1, make([]byte, 16), []byte{198, 51, 100, 1}, uint16(65535), uint16(0), "", "", []byte(nil))
	f.Add(2, []byte{}, []byte{}, uint16(0), uint16(0), "\x00", "\xff", make([]byte, 129))
	f.Fuzz(func(t *testing.T, version int, src, dst []byte, sport, dport uint16, authority, alpn string, id []byte) {
		o := proxyheader.Out{Version: version, Authority: authority, ALPN: alpn, UniqueID: id}
		if a, ok := netip.AddrFromSlice(src); ok {
			o.Source = netip.AddrPortFrom(a, sport)
		}
		if a, ok := netip.AddrFromSlice(dst); ok {
			o.Dest = netip.AddrPortFrom(a, dport)
		}
		b, err := proxyheader.Append(nil, &o)
		switch {
		case err != nil && len(b) > 0:
			t.Fatalf("error %v beside %q", err, b)
		case err != nil:
			mustFail := version != 1 && version != 2 || o.Source.IsValid() != o.Dest.IsValid()
			if !mustFail && !errors.Is(err, proxyheader.ErrTooLong) {
				t.Fatalf("Append(%+v): %v", o, err)
			}
		case !o.Source.IsValid():
			var info proxyheader.Info
			if n, err := proxyheader.Parse(b, &info); n != len(b) || err != nil || !info.Local {
				t.Fatalf("Parse(%q) = %d, %v, %+v, want it local", b, n, err, info)
			}
		default:
			checkReadBack(t, b, &o)
		}
	})
}
