package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/seed-23b4a313/switchyard/balancer/proxyheader"
	"github.com/seed-23b4a313/switchyard/cmd/switchyard/internal/capture"
	"github.com/seed-23b4a313/switchyard/peek"
)

// finding is what became of one stream: a hello, or what is wrong with it.
type finding struct {
	Client  *netip.AddrPort `json:"client,omitempty"` // from a capture
	Server  *netip.AddrPort `json:"server,omitempty"`
	Proxy   *proxyFinding   `json:"proxy_header,omitempty"`
	Hello   *helloFinding   `json:"hello"`
	Trouble *trouble        `json:"error,omitempty"`
}

// proxyFinding is the PROXY protocol header in front of a hello.
type proxyFinding struct {
	Bytes  int             `json:"bytes"`
	Local  bool            `json:"local"` // the balancer's own connection: no client
	Source *netip.AddrPort `json:"source,omitempty"`
	Dest   *netip.AddrPort `json:"destination,omitempty"`
}

// trouble is why there is no hello.
type trouble struct {
	Kind    string `json:"kind"`              // one of the kinds below
	What    string `json:"what"`              // in words
	Offset  int    `json:"offset"`            // from the start of the stream
	Missing int    `json:"missing,omitempty"` // bytes surely needed, if incomplete
}

const (
	kindIncomplete = "incomplete"
	kindMalformed  = "malformed"
	kindNotTLS     = "not_tls"
	kindTooBig     = "too_big"
)

// lookAtStreams looks at the clients' streams of a capture. Where the capture shows who opened a connection, that
// is the client; where it does not, whoever starts like one.
func lookAtStreams(streams []capture.Stream) []finding {
	opened := make(map[[2]netip.AddrPort]bool)
	for _, s := range streams {
		if s.Opened {
			opened[[2]netip.AddrPort{s.From, s.To}] = true
		}
	}
	var all []finding
	for _, s := range streams {
		server := s.Answered || opened[[2]netip.AddrPort{s.To, s.From}]
		if server || len(s.Data) == 0 || !s.Opened && !startsLikeAHello(s.Data) {
			continue
		}
		f := lookAt(s.Data)
		f.Client, f.Server = &s.From, &s.To
		if f.Trouble != nil && f.Trouble.Kind == kindIncomplete && s.Lost {
			f.Trouble.What = "the capture has lost bytes in the middle"
		}
		all = append(all, f)
	}
	return all
}

// startsLikeAHello is for streams whose beginning may not be in the capture: a record with a ClientHello in front.
func startsLikeAHello(b []byte) bool {
	return len(b) > 5 && b[0] == 0x16 && b[1] == 3 && b[5] == 1 || bytes.HasPrefix(b, []byte("PROXY TCP"))
}

// lookAt reads the hello at the start of b, after a PROXY header if there is one.
func lookAt(b []byte) finding {
	var f finding
	n, err := f.readProxyHeader(b)
	if err != nil {
		return f
	}
	var h peek.Hello
	var p peek.Parser
	if records := len(b) == n || b[n] != 1; records {
		err = p.Parse(b[n:], &h)
	} else { // a handshake message without records, as copied out of a decoder
		err = p.ParseMessage(b[n:], &h)
	}
	if err != nil {
		f.Trouble = newTrouble(b[n:], n, p.Missing(), err)
		return f
	}
	f.Hello = newHelloFinding(&h, p.Consumed(), len(b)-n)
	return f
}

// readProxyHeader returns the length of the header, 0 if there is none.
func (f *finding) readProxyHeader(b []byte) (int, error) {
	var info proxyheader.Info
	n, err := proxyheader.Parse(b, &info)
	switch {
	case err == nil:
		f.Proxy = &proxyFinding{Bytes: n, Local: info.Local}
		if !info.Local {
			f.Proxy.Source, f.Proxy.Dest = &info.Source, &info.Dest
		}
		return n, nil
	case errors.Is(err, proxyheader.ErrNone):
		return 0, nil
	case errors.Is(err, proxyheader.ErrIncomplete):
		f.Trouble = &trouble{Kind: kindIncomplete, What: "the PROXY header is not complete", Offset: len(b)}
	default:
		f.Trouble = &trouble{Kind: kindMalformed, What: err.Error()}
	}
	return 0, err
}

// newTrouble explains err, which the parser gave for b; at is where b begins in the stream.
func newTrouble(b []byte, at, missing int, err error) *trouble {
	if syntax, ok := errors.AsType[*peek.SyntaxError](err); ok {
		return &trouble{Kind: kindMalformed, What: syntax.What, Offset: at + syntax.Offset}
	}
	switch {
	case errors.Is(err, peek.ErrIncomplete):
		return &trouble{Kind: kindIncomplete, What: "the hello goes on", Offset: at + len(b), Missing: missing}
	case errors.Is(err, peek.ErrTooBig):
		return &trouble{Kind: kindTooBig, What: "the hello announces more than 64 KiB", Offset: at}
	default:
		return &trouble{Kind: kindNotTLS, What: "it starts with " + firstBytes(b), Offset: at}
	}
}

// firstBytes shows the start of b: as text where it is text, which tells plain HTTP or SSH at a glance.
func firstBytes(b []byte) string {
	b = b[:min(len(b), 16)]
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\r' && c != '\n' {
			return fmt.Sprintf("% x", b)
		}
	}
	return fmt.Sprintf("%q", b)
}

// failure is the error for a finding without a hello.
func (f *finding) failure(name string) error {
	err := fmt.Errorf("%s: %s", name, f.Trouble)
	switch f.Trouble.Kind {
	case kindNotTLS:
		return withHint(err, "peek takes what a client sends first: raw bytes, hex, or a capture (--format)")
	case kindTooBig:
		return withHint(err, "the balancer takes no more than hello_max_size either")
	}
	return err
}

func (t *trouble) String() string {
	switch t.Kind {
	case kindMalformed:
		return fmt.Sprintf("malformed hello: %s at offset %d", t.What, t.Offset)
	case kindIncomplete:
		if t.Missing > 0 {
			return fmt.Sprintf("incomplete hello: %d bytes, at least %d more are needed", t.Offset, t.Missing)
		}
		return fmt.Sprintf("incomplete hello: %s, after %d bytes", t.What, t.Offset)
	case kindNotTLS:
		return "not TLS: " + t.What
	default:
		return "hello too big: " + t.What
	}
}

// text is the finding for people. A stream without a hello has text only in a capture: otherwise its error is all.
func (f *finding) text() string {
	var b strings.Builder
	if f.Client != nil {
		fmt.Fprintf(&b, "%s > %s\n", f.Client, f.Server)
	}
	if f.Hello == nil {
		if f.Client != nil {
			fmt.Fprintf(&b, "  %s\n", f.Trouble)
		}
		return b.String()
	}
	tab := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if f.Proxy != nil {
		fmt.Fprintf(tab, "  proxy header\t%s\n", f.Proxy)
	}
	for _, line := range f.Hello.lines() {
		fmt.Fprintf(tab, "  %s\t%s\n", line[0], strings.ReplaceAll(line[1], "\n", "\n  \t"))
	}
	_ = tab.Flush() // to a Builder
	return b.String()
}

func (p *proxyFinding) String() string {
	if p.Local {
		return "local"
	}
	return fmt.Sprintf("%s > %s", p.Source, p.Dest)
}
