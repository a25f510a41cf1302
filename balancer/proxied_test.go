package balancer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pires/go-proxyproto"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// proxied is a config whose listener takes PROXY headers from `from` alone.
func proxied(from string, optional bool, p pool.Config) *Config {
	cfg := oneHost("a.example.com", p)
	cfg.Listeners[0].ProxyFrom = []netip.Prefix{netip.MustParsePrefix(from)}
	cfg.Listeners[0].ProxyOptional = optional
	return cfg
}

// header is a PROXY header as the library writes it.
func header(t testing.TB, version byte, src, dst string, tlvs ...proxyproto.TLV) []byte {
	t.Helper()
	a, b := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	h := proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(a), net.TCPAddrFromAddrPort(b))
	if len(tlvs) > 0 {
		if err := h.SetTLVs(tlvs); err != nil {
			t.Fatal(err)
		}
	}
	out, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// R22: who may speak of a client's address, who must, and what becomes of those who do it wrong.
func TestProxyHeaderFromClients(t *testing.T) {
	t.Parallel()
	v1 := header(t, 1, "192.0.2.7:1234", "198.51.100.1:443")
	v2 := header(t, 2, "192.0.2.7:1234", "198.51.100.1:443")
	v6 := header(t, 2, "[2001:db8::7]:1234", "[2001:db8::1]:443")
	tlvs := header(t, 2, "192.0.2.7:1234", "198.51.100.1:443",
		proxyproto.TLV{Type: proxyproto.PP2_TYPE_NOOP, Value: make([]byte, 3000)})
	local := []byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00")
	const listed, unlisted = "127.0.0.0/8", "192.0.2.0/24"
	for _, c := range []struct {
		name     string
		from     string
		optional bool
		header   []byte
		want     Cause
		client   string // in the log; "": the peer itself
	}{
		{"version 1", listed, false, v1, CauseOK, "192.0.2.7:1234"},
		{"version 2", listed, false, v2, CauseOK, "192.0.2.7:1234"},
		{"version 2, IPv6", listed, false, v6, CauseOK, "[2001:db8::7]:1234"},
		{"version 2 with 3 KB of TLVs", listed, false, tlvs, CauseOK, "192.0.2.7:1234"},
		{"LOCAL leaves the peer's address", listed, false, local, CauseOK, ""},
		{"UNKNOWN leaves the peer's address", listed, false, []byte("PROXY UNKNOWN\r\n"), CauseOK, ""},
		{"none where one must be", listed, false, nil, CauseProxyBad, ""},
		{"none where one may be", listed, true, nil, CauseOK, ""},
		{"one where one may be", listed, true, v2, CauseOK, "192.0.2.7:1234"},
		{"broken, version 1", listed, false, []byte("PROXY TCP4 a b c d\r\n"), CauseProxyBad, ""},
		{"broken where one may be", listed, true, []byte("PROXY TCP4 a b c d\r\n"), CauseProxyBad, ""},
		{"two of them", listed, false, append(bytes.Clone(v1), v1...), CauseNotTLS, "192.0.2.7:1234"},
		{"spoofed, version 1", unlisted, false, v1, CauseProxyUntrusted, ""},
		{"spoofed, version 2", unlisted, false, v2, CauseProxyUntrusted, ""},
		{"spoofed where one may be", unlisted, true, v2, CauseProxyUntrusted, ""},
		{"none from one who is not listed", unlisted, false, nil, CauseOK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1 << 20, 1} { // whole, and byte by byte
				if size == 1 && len(c.header) > 1000 {
					size = 100
				}
				backend := record(t, len(helloA), serverHelloLike)
				s := serve(t, proxied(c.from, c.optional, testPool("pool", backend.addr)))
				conn := dial(t, s.addr)
				if c.want == CauseOK {
					inPieces(conn, append(bytes.Clone(c.header), helloA...), size)
				} else {
					inPieces(conn, append(bytes.Clone(c.header), helloA[:20]...), size)
				}
				got, _ := readAll(conn)
				conn.Close()
				s.closed(t, c.want, 1)
				s.balanced(t)
				if (c.want == CauseOK) != bytes.Equal(got, serverHelloLike) {
					t.Errorf("client got % x", got)
				}
				reached := backend.all()
				if c.want != CauseOK && len(reached) > 0 {
					t.Errorf("reached the backend with % x", reached[0])
				}
				if c.want == CauseOK && !bytes.Equal(reached[0], helloA) {
					t.Errorf("the backend got %d bytes, not the hello", len(reached[0]))
				}
				client := c.client
				if client == "" {
					client = conn.LocalAddr().String()
				}
				s.quietLog(t)
				if want := fmt.Sprintf(`"client":"%s"`, client); !strings.Contains(s.log.String(), want) {
					t.Errorf("the log does not say %s: %s", want, s.log.String())
				}
			}
		})
	}
}

// inPieces writes b, size bytes at a time; a peer that has had enough ends it.
func inPieces(c net.Conn, b []byte, size int) {
	for len(b) > 0 {
		n := min(size, len(b))
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
		b = b[n:]
	}
}

// quietLog waits until every connection that has ended has its line.
func (r *running) quietLog(t testing.TB) {
	t.Helper()
	eventually(t, func() bool {
		return uint64(strings.Count(r.log.String(), `"msg":"connection"`)) >= r.Stats().Listeners[0].Accepted
	}, func() string { return "a line for each connection" })
}

// R22: the header's client is the client: for `clients:` of a route, and for what maglev hashes.
func TestProxyHeaderDecidesWhoTheClientIs(t *testing.T) {
	t.Parallel()
	in, out := record(t, len(helloA), serverHelloLike), record(t, len(helloA), serverHelloLike)
	cfg := proxied("127.0.0.0/8", false, testPool("pool", out.addr))
	cfg.Pools = append(cfg.Pools, testPool("inside", in.addr))
	cfg.Routes = append(cfg.Routes, route.Route{Name: "inside", Index: 1, Hosts: []string{"a.example.com"},
		Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Action: toPool("inside")})
	var spread []*recording
	hashed := testPool("hashed")
	hashed.Balance = pool.Maglev
	for range 3 {
		r := record(t, 1, serverHelloLike)
		spread = append(spread, r)
		hashed.Backends = append(hashed.Backends, testPool("", r.addr).Backends...)
	}
	cfg.Pools = append(cfg.Pools, hashed)
	cfg.Routes = append(cfg.Routes, route.Route{Name: "hashed", Index: 2, Hosts: []string{"h.example.com"}, Action: toPool("hashed")})
	s := serve(t, cfg)
	for _, src := range []string{"10.1.2.3:5", "192.0.2.1:5"} {
		exchange(t, s.addr, append(header(t, 2, src, "198.51.100.1:443"), helloA...))
	}
	if len(in.all()) != 1 || len(out.all()) != 1 {
		t.Errorf("10.1.2.3 and 192.0.2.1 gave %d inside and %d outside, want one each", len(in.all()), len(out.all()))
	}
	hello := craft(serverName("h.example.com"))
	const clients, each = 40, 3
	for i := range clients {
		var before [3]int
		for j, r := range spread {
			before[j] = len(r.all())
		}
		for k := range each { // other ports, the same address: the same backend
			exchange(t, s.addr, append(header(t, 2, fmt.Sprintf("10.9.%d.1:%d", i, 1000+k), "198.51.100.1:443"), hello...))
		}
		for j, r := range spread {
			if n := len(r.all()) - before[j]; n != 0 && n != each {
				t.Errorf("client 10.9.%d.1: backend %d got %d of %d connections, want all or none", i, j, n, each)
			}
		}
	}
	for j, r := range spread {
		if n := len(r.all()); n == 0 || n == clients*each {
			t.Errorf("backend %d got %d of %d connections: not the header's address is hashed", j, n, clients*each)
		}
	}
}

// R22: what a backend is told: read by another implementation, which checks the CRC32C.
func TestProxyHeaderToBackends(t *testing.T) {
	t.Parallel()
	type told struct {
		Version         byte
		Source, Dest    string
		Authority, ALPN string
		UniqueID        int
		Checksum, Hello bool
	}
	for _, c := range []struct {
		name    string
		version pool.HeaderVersion
		front   []byte
		hello   []byte
		want    told
	}{
		{"version 1", pool.HeaderV1, nil, helloA, told{Version: 1, Hello: true}},
		{"version 2", pool.HeaderV2, nil, craft(serverName("A.example.com"), extension{extALPN, vec16(append(vec8([]byte("h2")), vec8([]byte("http/1.1"))...))}),
			told{Version: 2, Authority: "a.example.com", ALPN: "h2", UniqueID: 16, Checksum: true, Hello: true}},
		{"version 2, behind another proxy", pool.HeaderV2, []byte("PROXY TCP4 192.0.2.7 198.51.100.1 1234 443\r\n"), helloA,
			told{Version: 2, Source: "192.0.2.7:1234", Dest: "198.51.100.1:443", Authority: "a.example.com", UniqueID: 16, Checksum: true, Hello: true}},
		{"version 1, behind another proxy, IPv6", pool.HeaderV1, []byte("PROXY TCP6 2001:db8::7 2001:db8::1 1234 443\r\n"), helloA,
			told{Version: 1, Source: "[2001:db8::7]:1234", Dest: "[2001:db8::1]:443", Hello: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := make(chan told, 1)
			backend := listenTCP(t, func(conn *net.TCPConn) {
				r := bufio.NewReaderSize(conn, 4<<10)
				checksum := checksumOf(r)
				h, err := proxyproto.Read(r)
				if err != nil {
					t.Errorf("the header cannot be read: %v", err)
					got <- told{}
					return
				}
				v := told{Version: h.Version, Source: h.SourceAddr.String(), Dest: h.DestinationAddr.String()}
				tlvs, err := h.TLVs()
				if err != nil {
					t.Error(err)
				}
				for _, tlv := range tlvs {
					switch tlv.Type {
					case proxyproto.PP2_TYPE_AUTHORITY:
						v.Authority = string(tlv.Value)
					case proxyproto.PP2_TYPE_ALPN:
						v.ALPN = string(tlv.Value)
					case proxyproto.PP2_TYPE_UNIQUE_ID:
						v.UniqueID = len(tlv.Value)
					}
				}
				v.Checksum = checksum == "right"
				hello := make([]byte, len(c.hello))
				io.ReadFull(r, hello)
				v.Hello = bytes.Equal(hello, c.hello)
				got <- v
				conn.Write(serverHelloLike)
			})
			p := testPool("pool", backend)
			p.Header = c.version
			s := serve(t, proxied("127.0.0.0/8", true, p))
			conn := dial(t, s.addr)
			mustWrite(t, conn, append(bytes.Clone(c.front), c.hello...))
			if c.want.Source == "" {
				c.want.Source, c.want.Dest = conn.LocalAddr().String(), s.addr
			}
			if d := cmp.Diff(c.want, <-got); d != "" {
				t.Errorf("backend was told (-want +got):\n%s", d)
			}
			mustRead(t, conn, serverHelloLike)
		})
	}
}

// checksumOf looks at the CRC32C of the header of version 2 at the start of r without taking it.
func checksumOf(r *bufio.Reader) string {
	const fixed, addresses4 = 16, 12
	head, err := r.Peek(fixed)
	if err != nil || head[0] != '\r' {
		return "none"
	}
	b, err := r.Peek(fixed + int(binary.BigEndian.Uint16(head[14:])))
	if err != nil {
		return "none"
	}
	b = bytes.Clone(b)
	for at := fixed + addresses4; at+3 <= len(b); {
		n := int(binary.BigEndian.Uint16(b[at+1:]))
		if proxyproto.PP2Type(b[at]) == proxyproto.PP2_TYPE_CRC32C {
			want := binary.BigEndian.Uint32(b[at+3:])
			clear(b[at+3 : at+3+n])
			if n == 4 && crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) == want {
				return "right"
			}
			return "wrong"
		}
		at += 3 + n
	}
	return "none"
}
