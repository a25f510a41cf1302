package resolve

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// server is a name server on loopback, by UDP and TCP. Nothing but what answers says makes it sound.
//
//	Go's resolver ─ metered conn ─ UDP ─┐
//	                └ metered conn ─ TCP ─┴─> server ─> answers(query, tcp) ─> messages, each sent as it is
type server struct {
	answers func(query dnsmessage.Message, tcp bool) [][]byte
	cut     int // TCP: bytes per write; 0: all at once
	udp     *net.UDPConn
	tcp     net.Listener
	done    sync.WaitGroup
}

func newServer(t *testing.T, answers func(query dnsmessage.Message, tcp bool) [][]byte) *server {
	t.Helper()
	s := &server{answers: answers}
	var err error
	if s.udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	if s.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.done.Go(s.serveUDP)
	s.done.Go(s.serveTCP)
	t.Cleanup(func() {
		s.udp.Close()
		s.tcp.Close()
		s.done.Wait()
	})
	return s
}

// dial connects to s, whatever server is asked for.
func (s *server) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	to := s.tcp.Addr()
	if network == "udp" {
		to = s.udp.LocalAddr()
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to.String())
}

func (s *server) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		for _, m := range s.reply(buf[:n], false) {
			s.udp.WriteToUDPAddrPort(m, from)
		}
	}
}

func (s *server) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.done.Go(func() { s.serveStream(c) })
	}
}

func (s *server) serveStream(c net.Conn) {
	defer c.Close()
	var length [2]byte
	for {
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		for _, m := range s.reply(query, true) {
			s.writeCut(c, append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
		}
	}
}

func (s *server) writeCut(c net.Conn, b []byte) {
	for len(b) > 0 {
		n := len(b)
		if s.cut > 0 {
			n = min(n, s.cut)
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
		b = b[n:]
	}
}

func (s *server) reply(query []byte, tcp bool) [][]byte {
	var q dnsmessage.Message
	if q.Unpack(query) != nil || len(q.Questions) != 1 {
		return nil
	}
	return s.answers(q, tcp)
}

// answering makes the reply to query with these records, changed by the edits.
func answering(query dnsmessage.Message, records []dnsmessage.Resource, edits ...func(*dnsmessage.Message)) []byte {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: query.ID, Response: true, RecursionDesired: true, RecursionAvailable: true, Authoritative: true,
		},
		Questions: query.Questions,
		Answers:   records,
	}
	for _, edit := range edits {
		edit(&m)
	}
	packed, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return packed
}

func rcode(c dnsmessage.RCode) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) { m.RCode = c }
}

func truncated(m *dnsmessage.Message) { m.Truncated = true }
func otherID(m *dnsmessage.Message)   { m.ID++ }
func otherName(m *dnsmessage.Message) {
	m.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("other.example."), Type: m.Questions[0].Type, Class: dnsmessage.ClassINET}}
}

func header(owner string, typ dnsmessage.Type, ttl uint32) dnsmessage.ResourceHeader {
	return dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(owner), Type: typ, Class: dnsmessage.ClassINET, TTL: ttl}
}

// record is an A or AAAA record, as addr says.
func record(owner, addr string, ttl uint32) dnsmessage.Resource {
	a := netip.MustParseAddr(addr)
	if a.Is4() {
		return dnsmessage.Resource{Header: header(owner, dnsmessage.TypeA, ttl), Body: &dnsmessage.AResource{A: a.As4()}}
	}
	return dnsmessage.Resource{Header: header(owner, dnsmessage.TypeAAAA, ttl), Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}
}

func alias(owner, to string, ttl uint32) dnsmessage.Resource {
	return dnsmessage.Resource{Header: header(owner, dnsmessage.TypeCNAME, ttl),
		Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)}}
}

// records answers A and AAAA questions with those of list that fit, aliases with both.
func records(query dnsmessage.Message, list ...dnsmessage.Resource) (fitting []dnsmessage.Resource) {
	for _, r := range list {
		if r.Header.Type == query.Questions[0].Type || r.Header.Type == dnsmessage.TypeCNAME {
			fitting = append(fitting, r)
		}
	}
	return fitting
}
