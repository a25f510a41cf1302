package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	for _, test := range []struct {
		name, pattern string
		want          []string
	}{
		{"a plain name is one", "a.example", []string{"a.example"}},
		{"a range counts both ends", "h-{9..11}.example", []string{"h-9.example", "h-10.example", "h-11.example"}},
		{"a range of one", "h-{0..0}", []string{"h-0"}},
		{"a range at the start", "{1..2}.example", []string{"1.example", "2.example"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			names, err := ParseNames(test.pattern)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range names.Len() {
				got = append(got, names.At(i))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("names of %q (-want +got):\n%s", test.pattern, diff)
			}
		})
	}
}

func TestNamesRefused(t *testing.T) {
	long := string(bytes.Repeat([]byte("a"), 254))
	for _, pattern := range []string{"", "h-{1..0}", "h-{1}", "h-{1..", "h-{a..b}", "h-{-1..2}", long} {
		if names, err := ParseNames(pattern); err == nil {
			t.Errorf("%q: accepted as %d names", pattern, names.Len())
		}
	}
}

// serverReads is the name and the protocols that crypto/tls finds in a hello.
func serverReads(t *testing.T, hello []byte) (name string, alpn []string) {
	t.Helper()
	stop := errors.New("seen")
	server := tls.Server(&replay{in: bytes.NewReader(hello)}, &tls.Config{
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			name, alpn = info.ServerName, info.SupportedProtos
			return nil, stop
		},
	})
	if err := server.HandshakeContext(context.Background()); !errors.Is(err, stop) {
		t.Fatalf("crypto/tls refuses the hello: %v", err)
	}
	return name, alpn
}

type replay struct {
	net.Conn
	in io.Reader
}

func (r *replay) Read(b []byte) (int, error)  { return r.in.Read(b) }
func (r *replay) Write(b []byte) (int, error) { return len(b), nil }
func (r *replay) Close() error                { return nil }

func TestHellosAreSoundAndCarryNameAndOrder(t *testing.T) {
	order := Order{Op: OpSend, Size: 1 << 40}
	for _, pattern := range []string{"host-{0..1234}.example.com", "host-{95..104}.example.com", "x", "single.example"} {
		names, err := ParseNames(pattern)
		if err != nil {
			t.Fatal(err)
		}
		hellos, err := NewHellos(names, order)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, names.Len() / 100, names.Len() / 2, names.Len() - 1, 0} {
			hello := hellos.At(i)
			name, alpn := serverReads(t, hello)
			if name != names.At(i) || len(alpn) != 2 {
				t.Errorf("%s, name %d: crypto/tls reads %q %v, want %q", pattern, i, name, alpn, names.At(i))
			}
			if got := OrderIn(hello); got != order {
				t.Errorf("%s: order %+v, want %+v", pattern, got, order)
			}
			if n, err := HelloLen(hello); n != len(hello) || err != nil {
				t.Errorf("%s: length %d, %v, want %d", pattern, n, err, len(hello))
			}
			// What a browser sends with a post-quantum key share; a small hello would flatter a balancer.
			if len(hello) < 1400 || len(hello) > 2200 {
				t.Errorf("%s: a hello of %d bytes", pattern, len(hello))
			}
		}
	}
}

// split cuts the one record of a hello into records of n bytes.
func split(hello []byte, n int) (cut []byte) {
	for body := hello[5:]; len(body) > 0; {
		part := body[:min(n, len(body))]
		cut = append(cut, 0x16, 3, 1, byte(len(part)>>8), byte(len(part)))
		cut = append(cut, part...)
		body = body[len(part):]
	}
	return cut
}

func TestHelloLen(t *testing.T) {
	hello, err := captureHello("a.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 3, 4, 5, 700, len(hello)} {
		cut := split(hello, n)
		for end := range cut {
			if got, err := HelloLen(cut[:end]); got != 0 || err != nil {
				t.Fatalf("records of %d bytes, prefix of %d: %d, %v; want 0: not complete", n, end, got, err)
			}
		}
		if got, err := HelloLen(append(cut, "more"...)); got != len(cut) || err != nil {
			t.Errorf("records of %d bytes: %d, %v; want %d", n, got, err, len(cut))
		}
	}
	for _, bad := range []string{"GET / HTTP/1.1\r\n", "\x16\x03\x01\x00\x00", "\x16\x03\x01\x00\x04\x02\x00\x00\x00"} {
		if _, err := HelloLen([]byte(bad)); !errors.Is(err, ErrNotHello) {
			t.Errorf("%q: error %v, want ErrNotHello", bad, err)
		}
	}
}

func TestOrderOfAStrangersHelloIsTheZeroOne(t *testing.T) {
	hello, err := captureHello("a.example")
	if err != nil {
		t.Fatal(err)
	}
	if got := OrderIn(hello); got != (Order{}) {
		t.Errorf("order %+v", got)
	}
}

func TestAnswer(t *testing.T) {
	want := AnswerTo([]byte("any hello"), 3)
	b := want.Bytes()
	if got, ok := ReadAnswer(b[:]); !ok || got != want {
		t.Errorf("answer %+v, %v; want %+v", got, ok, want)
	}
	if want.Length != 9 || want.Pool != 3 || want == AnswerTo([]byte("any hellp"), 3) {
		t.Errorf("answer %+v does not tell hellos apart", want)
	}
	// A ServerHello that a client of TLS 1.2 accepts as such: it goes on to wait for the next record.
	client := tls.Client(&replay{in: bytes.NewReader(b[:])}, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err := client.Handshake(); !errors.Is(err, io.EOF) {
		t.Errorf("crypto/tls reads the answer: %v, want it to ask for more", err)
	}
	for i := range answerHead {
		bad := b
		bad[i] ^= 1
		if _, ok := ReadAnswer(bad[:]); ok {
			t.Errorf("byte %d changed: still an answer", i)
		}
	}
}

func TestHelloForANameAllocatesNothing(t *testing.T) {
	names, err := ParseNames("host-{0..9999}.example.com")
	if err != nil {
		t.Fatal(err)
	}
	hellos, err := NewHellos(names, Order{})
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	if n := testing.AllocsPerRun(1000, func() { i++; hellos.At(i * 7 % 10000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
