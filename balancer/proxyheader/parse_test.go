package proxyheader_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-23b4a313/switchyard/balancer/proxyheader"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

var compareAddrs = cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})

// v2 is a version 2 header whose length is that of the block.
func v2(command, family byte, block ...string) string {
	all := strings.Join(block, "")
	return signature + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(all)))) + all
}

func tlv(typ byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{typ}, uint16(len(value)))) + value
}

// checksummed puts the right CRC32C in place of the last "SUM!" of a header.
func checksummed(header string) string {
	at := strings.LastIndex(header, "SUM!")
	sum := crc32.Checksum([]byte(header[:at]+"\x00\x00\x00\x00"+header[at+4:]), crc32.MakeTable(crc32.Castagnoli))
	return header[:at] + string(binary.BigEndian.AppendUint32(nil, sum)) + header[at+4:]
}

var (
	block4    = "\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb" // 192.0.2.1:56324 to 198.51.100.1:443
	block6    = "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x02" + "\xdc\x04\x01\xbb"
	blockMap  = strings.Repeat("\x00", 10) + "\xff\xff\xc0\x00\x02\x01" + strings.Repeat("\x00", 10) + "\xff\xff\xc6\x33\x64\x01" + "\xdc\x04\x01\xbb"
	blockUnix = "/run/client" + strings.Repeat("\x00", 97) + "/run/server" + strings.Repeat("\x00", 97)

	info4 = proxyheader.Info{
		Source: netip.MustParseAddrPort("192.0.2.1:56324"),
		Dest:   netip.MustParseAddrPort("198.51.100.1:443"),
	}
	info6 = proxyheader.Info{
		Source: netip.MustParseAddrPort("[2001:db8::1]:56324"),
		Dest:   netip.MustParseAddrPort("[2001:db8::2]:443"),
	}
	local = proxyheader.Info{Local: true}
)

func with(i proxyheader.Info, uniqueID string) proxyheader.Info {
	i.UniqueID = []byte(uniqueID)
	return i
}

var good = []struct {
	name string
	in   string
	want proxyheader.Info
}{
	{"v1 TCP4", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", info4},
	{"v1 TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", info6},
	{"v1 TCP6 in capitals", "PROXY TCP6 2001:DB8::1 2001:DB8::2 56324 443\r\n", info6},
	{"v1 mapped addresses are unmapped", "PROXY TCP6 ::ffff:c000:201 ::ffff:198.51.100.1 56324 443\r\n", info4},
	{"v1 UNKNOWN, short", "PROXY UNKNOWN\r\n", local},
	{"v1 UNKNOWN with addresses that are ignored", "PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n", local},
	{"v1 UNKNOWN with anything", "PROXY UNKNOWN \x00\xff\r \t\r\n", local},
	{"v1 of the greatest length", "PROXY UNKNOWN " + strings.Repeat("x", 107-14-2) + "\r\n", local},
	{"v2 TCP4", v2(0x21, 0x11, block4), info4},
	{"v2 TCP6", v2(0x21, 0x21, block6), info6},
	{"v2 UDP4 names the client too", v2(0x21, 0x12, block4), info4},
	{"v2 UDP6 names the client too", v2(0x21, 0x22, block6), info6},
	{"v2 mapped addresses are unmapped", v2(0x21, 0x21, blockMap), info4},
	{"v2 UNIX stream", v2(0x21, 0x31, blockUnix), local},
	{"v2 UNIX datagram", v2(0x21, 0x32, blockUnix), local},
	{"v2 UNIX path that fills its field", v2(0x21, 0x31, strings.Repeat("/", 216)), local},
	{"v2 UNSPEC", v2(0x21, 0x00), local},
	{"v2 UNSPEC with a block that is ignored", v2(0x21, 0x00, "\xff\xff"), local},
	{"v2 LOCAL", v2(0x20, 0x00), local},
	{"v2 LOCAL of a family, without addresses", v2(0x20, 0x11), local},
	{"v2 LOCAL with a block that is skipped", v2(0x20, 0x21, "\x03\xff\xff"), local},
	{"v2 TLVs nobody asked for", v2(0x21, 0x11, block4, tlv(0x20, "\x07\x00\x00\x00\x00"), tlv(0xea, "vpce"), tlv(0x30, "ns")), info4},
	{"v2 empty TLV", v2(0x21, 0x11, block4, tlv(0x02, "")), info4},
	{"v2 unique id", v2(0x21, 0x11, block4, tlv(0x02, "a.example.com"), tlv(0x05, "id\x00\xff")), with(info4, "id\x00\xff")},
	{"v2 unique id of 128 bytes", v2(0x21, 0x11, block4, tlv(0x05, strings.Repeat("i", 128))), with(info4, strings.Repeat("i", 128))},
	{"v2 padding", v2(0x21, 0x11, block4, tlv(0x04, strings.Repeat("\x00", 99))), info4},
	{"v2 checksum", checksummed(v2(0x21, 0x11, block4, tlv(0x03, "SUM!"))), info4},
	{"v2 checksum before other TLVs", checksummed(v2(0x21, 0x21, block6, tlv(0x03, "SUM!"), tlv(0x04, "pad"))), info6},
	{"v2 checksum over UNIX addresses", checksummed(v2(0x21, 0x31, blockUnix, tlv(0x03, "SUM!"))), local},
	{"v2 of 64 KiB", v2(0x21, 0x11, block4, tlv(0xe0, strings.Repeat("x", 65535-12-3))), info4},
	{"v2 LOCAL of 64 KiB", v2(0x20, 0x00, strings.Repeat("x", 65535)), local},
}

func TestParseReadsHeader(t *testing.T) {
	for _, c := range good {
		t.Run(c.name, func(t *testing.T) {
			for _, rest := range []string{"", "\x16\x03\x01", "\r\n", c.in} {
				var got proxyheader.Info
				n, err := proxyheader.Parse([]byte(c.in+rest), &got)
				if n != len(c.in) || err != nil {
					t.Fatalf("Parse(%.60q) followed by %.20q = %d, %v, want %d", c.in, rest, n, err, len(c.in))
				}
				if diff := cmp.Diff(c.want, got, compareAddrs); diff != "" {
					t.Errorf("Parse(%.60q) (-want +got):\n%s", c.in, diff)
				}
			}
		})
	}
}

// The regression of CVE-2019-10097, and more: whatever is cut off, the answer is "not yet".
func TestParseSaysIncompleteForEveryPrefix(t *testing.T) {
	for _, c := range good {
		untouched := proxyheader.Info{UniqueID: []byte("as before")}
		in := []byte(c.in)
		for cut := range len(in) {
			n, err := proxyheader.Parse(in[:cut], &untouched)
			if n != 0 || err != proxyheader.ErrIncomplete {
				t.Fatalf("%s: Parse of its first %d bytes = %d, %v, want 0, ErrIncomplete", c.name, cut, n, err)
			}
		}
		if string(untouched.UniqueID) != "as before" {
			t.Errorf("%s: an incomplete header was written to info: %+v", c.name, untouched)
		}
	}
}

// bad headers, each with the number of bytes after which the answer is known.
var bad = []struct {
	name  string
	in    string
	after int
}{
	{"v1 without space", "PROXYTCP4 192.0.2.1 198.51.100.1 1 2\r\n", 6},
	{"v1 with a tab", "PROXY\tTCP4 192.0.2.1 198.51.100.1 1 2\r\n", 6},
	{"v1 with two spaces", "PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n", 0},
	{"v1 without protocol", "PROXY \r\n", 0},
	{"v1 in lower case", "PROXY tcp4 192.0.2.1 198.51.100.1 1 2\r\n", 0},
	{"v1 of an unknown protocol", "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", 0},
	{"v1 without ports", "PROXY TCP4 192.0.2.1 198.51.100.1\r\n", 0},
	{"v1 with a word too many", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n", 0},
	{"v1 with a space at the end", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n", 0},
	{"v1 with a port too large", "PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n", 0},
	{"v1 with a negative port", "PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n", 0},
	{"v1 with a leading zero in a port", "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n", 0},
	{"v1 with a leading zero in an address", "PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n", 0},
	{"v1 with a short address", "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n", 0},
	{"v1 with a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", 0},
	{"v1 IPv6 address in TCP4", "PROXY TCP4 ::1 ::1 1 2\r\n", 0},
	{"v1 IPv4 address in TCP6", "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n", 0},
	{"v1 with a bare LF", "PROXY UNKNOWN\n", 0},
	{"v1 with an LF inside", "PROXY UNKNOWN\nx\r\n", 14},
	{"v1 with CR CR LF after ports", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\r\n", 0},
	{"v1 without end", "PROXY UNKNOWN " + strings.Repeat("x", 107-14), 0},
	{"v1 UNKNOWN with a word grown on", "PROXY UNKNOWNx\r\n", 0},
	{"v1 a byte too long", "PROXY UNKNOWN " + strings.Repeat("x", 108-14-2) + "\r\n", 107},
	{"v2 with version 0", signature + "\x01\x11", 13},
	{"v2 with version 1", signature + "\x11\x11", 13},
	{"v2 with version 3", signature + "\x31\x11", 13},
	{"v2 with an unknown command", v2(0x22, 0x11, block4), 13},
	{"v2 of an unknown family", v2(0x21, 0x41, block4), 14},
	{"v2 of a family without transport", v2(0x21, 0x10, block4), 14},
	{"v2 of a transport without family", v2(0x21, 0x01, block4), 14},
	{"v2 of an unknown transport", v2(0x21, 0x13, block4), 14},
	{"v2 LOCAL of an unknown family", v2(0x20, 0x77), 14},
	{"v2 shorter than IPv4 addresses", v2(0x21, 0x11, block4[:11]), 16},
	{"v2 shorter than IPv6 addresses", v2(0x21, 0x21, block6[:35]), 16},
	{"v2 shorter than UNIX addresses", v2(0x21, 0x31, blockUnix[:215]), 16},
	{"v2 IPv6 that brings IPv4 addresses", v2(0x21, 0x21, block4), 16},
	{"v2 with a byte after the addresses", v2(0x21, 0x11, block4, "\x00"), 0},
	{"v2 with two bytes of a TLV", v2(0x21, 0x11, block4, "\x04\x00"), 0},
	{"v2 TLV a byte too long", v2(0x21, 0x11, block4, "\x04\x00\x02x"), 0},
	{"v2 TLV of 65535 bytes that are not there", v2(0x21, 0x11, block4, "\xe0\xff\xff"), 0},
	{"v2 unique id of 129 bytes", v2(0x21, 0x11, block4, tlv(0x05, strings.Repeat("i", 129))), 0},
	{"v2 unique id twice", v2(0x21, 0x11, block4, tlv(0x05, ""), tlv(0x05, "")), 0},
	{"v2 wrong checksum", v2(0x21, 0x11, block4, tlv(0x03, "SUM!")), 0},
	{"v2 checksum of zero", v2(0x21, 0x11, block4, tlv(0x03, "\x00\x00\x00\x00")), 0},
	{"v2 checksum of three bytes", v2(0x21, 0x11, block4, tlv(0x03, "SUM")), 0},
	{"v2 empty checksum", v2(0x21, 0x11, block4, tlv(0x03, "")), 0},
	{"v2 checksum twice", checksummed(v2(0x21, 0x11, block4, tlv(0x03, "\x00\x00\x00\x00"), tlv(0x03, "SUM!"))), 0},
	{"v2 wrong checksum over UNIX addresses", v2(0x21, 0x31, blockUnix, tlv(0x03, "SUM!")), 0},
}

func TestParseRefusesMalformedHeader(t *testing.T) {
	for _, c := range bad {
		t.Run(c.name, func(t *testing.T) {
			known := c.after
			if known == 0 {
				known = len(c.in)
			}
			untouched := local
			for cut := range len(c.in) + 1 {
				n, err := proxyheader.Parse([]byte(c.in[:cut]), &untouched)
				want := proxyheader.ErrIncomplete
				if cut >= known {
					want = proxyheader.ErrBad
				}
				if n != 0 || !errors.Is(err, want) {
					t.Fatalf("Parse(%.80q) = %d, %v, want 0, %v", c.in[:cut], n, err, want)
				}
			}
			if diff := cmp.Diff(local, untouched, compareAddrs); diff != "" {
				t.Errorf("a malformed header was written to info:\n%s", diff)
			}
		})
	}
}

// The regression of CVE-2024-23325 and CVE-2019-10097: every command and family byte there is, with blocks of every
// length that matters, is answered and never crashes, and only defined ones are accepted.
func TestParseAnswersEveryFamilyAndCommand(t *testing.T) {
	defined := map[byte]int{0x00: 0, 0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
	in := []byte(v2(0, 0, strings.Repeat("\x00", 216)))
	for command := range 256 {
		for family := range 256 {
			for _, size := range []int{0, 1, 11, 12, 35, 36, 215, 216} {
				in = in[:16+size]
				in[12], in[13], in[15] = byte(command), byte(family), byte(size)
				need, known := defined[byte(family)]
				isProxy := command == 0x21 && known && (size == need || family == 0)
				// What is left over are TLVs, and zeros of a length that is a multiple of three are empty ones.
				isProxy = isProxy || command == 0x21 && known && size > need && (size-need)%3 == 0
				want := isProxy || command == 0x20 && known
				var info proxyheader.Info
				n, err := proxyheader.Parse(in, &info)
				if (err == nil) != want || want && n != len(in) || !want && !errors.Is(err, proxyheader.ErrBad) {
					t.Fatalf("command %#x, family %#x, block of %d bytes: %d, %v; want it taken: %v", command, family, size, n, err, want)
				}
			}
		}
	}
}

func TestParseTellsOtherProtocolsAtTheFirstByteThatDiffers(t *testing.T) {
	cases := []struct {
		name string
		in   string
		want error
	}{
		{"nothing", "", proxyheader.ErrIncomplete},
		{"TLS record", "\x16", proxyheader.ErrNone},
		{"first byte of version 1", "P", proxyheader.ErrIncomplete},
		{"HTTP method", "POST / HTTP/1.1\r\n", proxyheader.ErrNone},
		{"four bytes of version 1", "PROX", proxyheader.ErrIncomplete},
		{"version 1 in lower case", "proxy", proxyheader.ErrNone},
		{"first byte of version 2", "\r", proxyheader.ErrIncomplete},
		{"empty lines", "\r\n\r\n\r\n", proxyheader.ErrNone},
		{"eleven bytes of version 2", signature[:11], proxyheader.ErrIncomplete},
		{"signature with its last byte wrong", signature[:11] + "\r", proxyheader.ErrNone},
		{"version 1 after a space", " PROXY", proxyheader.ErrNone},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if n, err := proxyheader.Parse([]byte(c.in), &proxyheader.Info{}); n != 0 || err != c.want {
				t.Errorf("Parse(%q) = %d, %v, want 0, %v", c.in, n, err, c.want)
			}
		})
	}
}

func TestChecksumFindsEveryFlippedBit(t *testing.T) {
	in := []byte(checksummed(v2(0x21, 0x11, block4, tlv(0x02, "a.example.com"), tlv(0x03, "SUM!"))))
	for bit := range len(in) * 8 {
		broken := bytes.Clone(in)
		broken[bit/8] ^= 1 << (bit % 8)
		var info proxyheader.Info
		n, err := proxyheader.Parse(broken, &info)
		// Two flips hide the checksum itself: PROXY becomes LOCAL, whose block nobody may read, and the checksum's type
		// becomes another.
		if err == nil && !(info.Local && broken[12] == 0x20) && !unchecked(broken) {
			t.Errorf("bit %d flipped: accepted with length %d: %+v", bit, n, info)
		}
	}
}

// unchecked reports whether the flipped bit was in the type of the checksum, which makes it another TLV.
func unchecked(header []byte) bool { return header[len(header)-7] != 0x03 }

func TestUniqueIDCannotReachTheBytesAfterIt(t *testing.T) {
	in := []byte(v2(0x21, 0x11, block4, tlv(0x05, "id"), tlv(0x04, "pad")))
	want := bytes.Clone(in)
	var info proxyheader.Info
	if _, err := proxyheader.Parse(in, &info); err != nil {
		t.Fatal(err)
	}
	_ = append(info.UniqueID, "overwritten"...)
	if !bytes.Equal(in, want) {
		t.Errorf("an append to the unique id changed the buffer to %q", in)
	}
}

func TestParseAllocatesNothingBeforeAHeaderIsWhole(t *testing.T) {
	whole := v2(0x21, 0x11, block4, tlv(0xe0, strings.Repeat("x", 60000)))
	inputs := map[string]string{
		"TLS":         "\x16\x03\x01\x02\x00",
		"v1 part":     "PROXY TCP4 192.0.2.1",
		"v2 part":     whole[:len(whole)-1],
		"v2 bad":      signature + "\x31",
		"v2 bad TLV":  v2(0x21, 0x11, block4, "\x00"),
		"v2 checksum": v2(0x21, 0x11, block4, tlv(0x03, "SUM!")),
		"v2 LOCAL":    v2(0x20, 0x00),
	}
	for name, s := range inputs {
		in := []byte(s)
		var info proxyheader.Info
		if n := testing.AllocsPerRun(100, func() { _, _ = proxyheader.Parse(in, &info) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func ExampleParse() {
	received := []byte("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n\x16\x03\x01")
	var info proxyheader.Info
	n, err := proxyheader.Parse(received, &info)
	fmt.Println(info.Source, info.Dest, err)
	fmt.Printf("%q\n", received[n:])
	// Output:
	// 192.0.2.1:56324 198.51.100.1:443 <nil>
	// "\x16\x03\x01"
}
