package proxyheader_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	proxyproto "github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"

	"github.com/seed-23b4a313/switchyard/balancer/proxyheader"
)

// init lets the library read headers of every length, as only the tests ask it to.
func init() { proxyproto.MaxV2HeaderSize = 65535 }

func TestAppendWritesHeader(t *testing.T) {
	a4, b4 := "192.0.2.1:56324", "198.51.100.1:443"
	a6, b6 := "[2001:db8::1]:56324", "[2001:db8::2]:443"
	cases := []struct {
		name        string
		version     int
		source, dst string
		want        string
	}{
		{"v1 TCP4", 1, a4, b4, "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"},
		{"v1 TCP6", 1, a6, b6, "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"},
		{"v1 of a mapped pair is TCP4", 1, "[::ffff:192.0.2.1]:56324", b4, "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"},
		{"v1 of mixed families is TCP6, mapped, in hexadecimal", 1, a4, b6, "PROXY TCP6 ::ffff:c000:201 2001:db8::2 56324 443\r\n"},
		{"v1 of mixed families the other way", 1, a6, "0.0.0.0:0", "PROXY TCP6 2001:db8::1 ::ffff:0:0 56324 0\r\n"},
		{"v1 without zone", 1, "[fe80::1%eth0]:1", "[fe80::2%eth0]:2", "PROXY TCP6 fe80::1 fe80::2 1 2\r\n"},
		{"v1 of greatest length", 1, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
			"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"},
		{"v1 of our own connection", 1, "", "", "PROXY UNKNOWN\r\n"},
		{"v2 TCP4", 2, a4, b4, checksummed(v2(0x21, 0x11, block4, tlv(0x03, "SUM!")))},
		{"v2 TCP6", 2, a6, b6, checksummed(v2(0x21, 0x21, block6, tlv(0x03, "SUM!")))},
		{"v2 of a mapped pair is TCP4", 2, "[::ffff:192.0.2.1]:56324", "[::ffff:198.51.100.1]:443", checksummed(v2(0x21, 0x11, block4, tlv(0x03, "SUM!")))},
		{"v2 of mixed families is TCP6, mapped", 2, a4, b6, checksummed(v2(0x21, 0x21, blockMap[:16], block6[16:], tlv(0x03, "SUM!")))},
		{"v2 of our own connection", 2, "", "", v2(0x20, 0x00)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := proxyheader.Out{Version: c.version}
			if c.source != "" {
				o.Source, o.Dest = netip.MustParseAddrPort(c.source), netip.MustParseAddrPort(c.dst)
			}
			got, err := proxyheader.Append([]byte("before"), &o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("before"+c.want, string(got)); diff != "" {
				t.Errorf("Append(%+v) (-want +got):\n%s", o, diff)
			}
		})
	}
}

func TestAppendWritesTLVs(t *testing.T) {
	o := proxyheader.Out{
		Version: 2, Source: info4.Source, Dest: info4.Dest,
		Authority: "a.example.com", ALPN: "h2", UniqueID: []byte("id\x00\xff"),
	}
	got, err := proxyheader.Append(nil, &o)
	if err != nil {
		t.Fatal(err)
	}
	want := checksummed(v2(0x21, 0x11, block4, tlv(0x01, "h2"), tlv(0x02, "a.example.com"), tlv(0x05, "id\x00\xff"), tlv(0x03, "SUM!")))
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("Append(%+v) (-want +got):\n%s", o, diff)
	}
	o.Source, o.Dest = netip.AddrPort{}, netip.AddrPort{}
	if got, err := proxyheader.Append(nil, &o); err != nil || string(got) != v2(0x20, 0x00) {
		t.Errorf("our own connection: %q, %v, want LOCAL without TLVs", got, err)
	}
}

// Each value is tried at the length that just fits and at the next: CVE-2026-47692 began with values that did not fit.
func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	const most = 65535 - 12 - 3 - 4 - 3 // addresses, checksum, the value's own head
	base := proxyheader.Out{Version: 2, Source: info4.Source, Dest: info4.Dest}
	edit := func(f func(*proxyheader.Out)) proxyheader.Out { o := base; f(&o); return o }
	cases := []struct {
		name    string
		o       proxyheader.Out
		tooLong bool
	}{
		{"longest authority", edit(func(o *proxyheader.Out) { o.Authority = strings.Repeat("a", most) }), false},
		{"authority a byte longer", edit(func(o *proxyheader.Out) { o.Authority = strings.Repeat("a", most+1) }), true},
		{"authority whose length is zero in 16 bits", edit(func(o *proxyheader.Out) { o.Authority = strings.Repeat("a", 1<<16) }), true},
		{"longest protocol", edit(func(o *proxyheader.Out) { o.ALPN = strings.Repeat("a", most) }), false},
		{"protocol a byte longer", edit(func(o *proxyheader.Out) { o.ALPN = strings.Repeat("a", most+1) }), true},
		{"protocol whose length is zero in 16 bits", edit(func(o *proxyheader.Out) { o.ALPN = strings.Repeat("a", 1<<16) }), true},
		{"longest unique id", edit(func(o *proxyheader.Out) { o.UniqueID = make([]byte, 128) }), false},
		{"unique id a byte longer", edit(func(o *proxyheader.Out) { o.UniqueID = make([]byte, 129) }), true},
		{"two that fit alone and not together", edit(func(o *proxyheader.Out) { o.Authority, o.ALPN = strings.Repeat("a", 40000), strings.Repeat("a", 40000) }), true},
		{"all at what TLS allows", edit(func(o *proxyheader.Out) {
			o.Authority, o.ALPN, o.UniqueID = strings.Repeat("a", 255), strings.Repeat("a", 255), make([]byte, 128)
		}), false},
		{"the longest certificate", edit(func(o *proxyheader.Out) {
			o.TLS = &proxyheader.TLS{Version: "TLSv1.3", Certificate: true, DER: make([]byte, proxyheader.MaxDER)}
		}), false},
		{"a certificate that is longer is left out", edit(func(o *proxyheader.Out) {
			o.TLS = &proxyheader.TLS{Version: "TLSv1.3", Certificate: true, DER: make([]byte, proxyheader.MaxDER+1)}
		}), false},
		{"a group that is too long", edit(func(o *proxyheader.Out) { o.TLS = &proxyheader.TLS{Group: strings.Repeat("a", 1<<16)} }), true},
		{"IPv6 addresses leave less", edit(func(o *proxyheader.Out) { o.Source, o.Authority = info6.Source, strings.Repeat("a", most) }), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := proxyheader.Append([]byte("before"), &c.o)
			switch {
			case c.tooLong && !errors.Is(err, proxyheader.ErrTooLong):
				t.Errorf("error is %v, want ErrTooLong", err)
			case err != nil && string(got) != "before":
				t.Errorf("%d bytes were written beside an error", len(got))
			case !c.tooLong && err != nil:
				t.Error(err)
			case !c.tooLong:
				checkReadBack(t, got[len("before"):], &c.o)
			}
		})
	}
}

func TestAppendRefusesHalfAHeader(t *testing.T) {
	cases := []struct {
		name string
		o    proxyheader.Out
	}{
		{"no version", proxyheader.Out{Source: info4.Source, Dest: info4.Dest}},
		{"version 3", proxyheader.Out{Version: 3, Source: info4.Source, Dest: info4.Dest}},
		{"no source", proxyheader.Out{Version: 1, Dest: info4.Dest}},
		{"no destination", proxyheader.Out{Version: 2, Source: info4.Source}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got, err := proxyheader.Append(nil, &c.o); err == nil || len(got) != 0 {
				t.Errorf("Append(%+v) = %q, %v, want an error", c.o, got, err)
			}
		})
	}
}

// CVE-2026-47692: for random sets of TLVs the length field is the number of bytes written after it, the library and
// Parse read back what was given, and what follows the header is left alone.
func TestAppendedHeaderIsAsLongAsItSays(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	n := 2000
	if testing.Short() {
		n = 200
	}
	for range n {
		o := randomOut(r)
		b, err := proxyheader.Append(nil, &o)
		if err != nil {
			if !errors.Is(err, proxyheader.ErrTooLong) {
				t.Fatalf("Append: %v", err)
			}
			continue
		}
		checkReadBack(t, b, &o)
	}
}

// randomOut has values of lengths that are mostly ordinary, and at times about those that do not fit any more.
func randomOut(r *rand.Rand) proxyheader.Out {
	text := func() string {
		n := [...]int{0, 1, r.IntN(256), r.IntN(256), 65500 + r.IntN(100), r.IntN(1 << 17)}[r.IntN(6)]
		return string(bytes.Repeat([]byte{byte(r.Uint32())}, n))
	}
	ascii := func() string { return strings.Repeat("a", len(text())) }
	addr := func() netip.AddrPort {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], r.Uint64())
		a := netip.AddrFrom16(b)
		if r.IntN(2) == 0 {
			a = netip.AddrFrom4([4]byte(b[:4]))
		}
		return netip.AddrPortFrom(a, uint16(r.Uint32()))
	}
	o := proxyheader.Out{
		Version: 2, Source: addr(), Dest: addr(),
		Authority: text(), ALPN: text(), UniqueID: make([]byte, r.IntN(130)),
	}
	if r.IntN(2) == 0 {
		o.TLS = &proxyheader.TLS{
			Version: "TLSv1.3", Cipher: ascii(), Group: ascii(), CommonName: text(), DER: []byte(text()),
			Certificate: r.IntN(2) == 0, Resumed: r.IntN(2) == 0,
		}
	}
	return o
}

// checkReadBack reads header, which Append wrote for o, with the library and with Parse.
func checkReadBack(t *testing.T, header []byte, o *proxyheader.Out) {
	t.Helper()
	if o.Version == 2 && int(binary.BigEndian.Uint16(header[14:])) != len(header)-16 {
		t.Fatalf("length field says %d, and %d bytes follow it", binary.BigEndian.Uint16(header[14:]), len(header)-16)
	}
	const next = "\x16\x03\x01"
	stream := append(bytes.Clone(header), next...)
	checkLibrary(t, stream, len(header), o)

	var info proxyheader.Info
	n, err := proxyheader.Parse(stream, &info)
	if n != len(header) || err != nil {
		t.Fatalf("Parse = %d, %v, want %d", n, err, len(header))
	}
	if want := unmapped(o.Source); info.Source != want {
		t.Errorf("source is %v, want %v", info.Source, want)
	}
	if want := unmapped(o.Dest); info.Dest != want {
		t.Errorf("destination is %v, want %v", info.Dest, want)
	}
	if o.Version == 2 && string(info.UniqueID) != string(o.UniqueID) {
		t.Errorf("unique id is %q, want %q", info.UniqueID, o.UniqueID)
	}
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func checkLibrary(t *testing.T, stream []byte, size int, o *proxyheader.Out) {
	t.Helper()
	r := bufio.NewReaderSize(bytes.NewReader(stream), len(stream)+16)
	h, err := proxyproto.Read(r)
	if err != nil {
		t.Fatalf("the library does not read %.100q: %v", stream, err)
	}
	if left := r.Buffered(); left != len(stream)-size {
		t.Errorf("the library leaves %d bytes after the header, want %d", left, len(stream)-size)
	}
	if o.Version == 1 {
		return
	}
	tlvs, err := h.TLVs()
	if err != nil {
		t.Fatalf("the library does not read our TLVs: %v", err)
	}
	got := make(map[proxyproto.PP2Type]string)
	for _, v := range tlvs {
		got[v.Type] = string(v.Value)
	}
	delete(got, proxyproto.PP2_TYPE_CRC32C) // Parse checks it
	delete(got, proxyproto.PP2_TYPE_SSL)
	checkTLS(t, tlvs, o.TLS)
	want := make(map[proxyproto.PP2Type]string)
	for typ, value := range map[proxyproto.PP2Type]string{
		proxyproto.PP2_TYPE_ALPN: o.ALPN, proxyproto.PP2_TYPE_AUTHORITY: o.Authority, proxyproto.PP2_TYPE_UNIQUE_ID: string(o.UniqueID),
	} {
		if value != "" {
			want[typ] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("TLVs (-want +got):\n%.2000s", diff)
	}
}

// checkTLS compares what the library reads of PP2_TYPE_SSL with what was given.
func checkTLS(t *testing.T, tlvs []proxyproto.TLV, o *proxyheader.TLS) {
	t.Helper()
	ssl, ok := tlvparse.FindSSL(tlvs)
	if !ok {
		if o != nil {
			t.Error("the library finds no TLS")
		}
		return
	}
	if o == nil {
		t.Fatal("the library finds TLS where there was none")
	}
	type said struct {
		Version, Cipher, Group, CommonName, DER string
		TLS, Conn, Sess, Verified               bool
	}
	got := said{TLS: ssl.ClientSSL(), Conn: ssl.ClientCertConn(), Sess: ssl.ClientCertSess(), Verified: ssl.Verified()}
	got.Version, _ = ssl.SSLVersion()
	got.Cipher, _ = ssl.SSLCipher()
	got.Group, _ = ssl.SSLGroup()
	got.CommonName, _ = ssl.ClientCN()
	der, _ := ssl.ClientCert()
	got.DER = string(der)
	want := said{
		Version: o.Version, Cipher: o.Cipher, Group: o.Group,
		TLS: true, Conn: o.Certificate && !o.Resumed, Sess: o.Certificate, Verified: o.Certificate,
	}
	if o.Certificate && len(o.CommonName) <= proxyheader.MaxCommonName && utf8.ValidString(o.CommonName) {
		want.CommonName = o.CommonName
	}
	if o.Certificate && len(o.DER) <= proxyheader.MaxDER {
		want.DER = string(o.DER)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("TLS (-want +got):\n%.2000s", diff)
	}
}

func TestAppendAllocatesNothingWhenThereIsRoom(t *testing.T) {
	buf := make([]byte, 0, 1024)
	for _, o := range []proxyheader.Out{
		{Version: 1, Source: info4.Source, Dest: info4.Dest},
		{Version: 1, Source: info4.Source, Dest: info6.Dest},
		{Version: 2, Source: info4.Source, Dest: info4.Dest, Authority: "a.example.com", ALPN: "h2", UniqueID: []byte("0123456789abcdef")},
		{Version: 2, Source: info6.Source, Dest: info4.Dest, Authority: strings.Repeat("a", 255)},
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = proxyheader.Append(buf, &o) }); n != 0 {
			t.Errorf("Append(%+v): %v allocations, want 0", o, n)
		}
	}
}

func ExampleAppend() {
	header, err := proxyheader.Append(nil, &proxyheader.Out{
		Version: 1,
		Source:  netip.MustParseAddrPort("192.0.2.1:56324"),
		Dest:    netip.MustParseAddrPort("198.51.100.1:443"),
	})
	fmt.Printf("%q %v\n", header, err)
	// Output:
	// "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n" <nil>
}
