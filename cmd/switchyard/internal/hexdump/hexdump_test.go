package hexdump

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

var bytes20 = []byte("\x16\x03\x01 hello  |world|: 0")

func TestDecode(t *testing.T) {
	for _, c := range []struct{ name, in string }{
		{"one string", "16030120 68656c6c6f20207c776f726c647c3a2030"},
		{"capital letters", "16030120 68656C6C6F20207C776F726C647C3A2030"},
		{"several lines", "16030120\n68656c6c6f20207c776f\n\n726c647c3a2030\n"},
		{"colons", "16:03:01:20:68:65:6c:6c:6f:20:20:7c:77:6f:72:6c:64:7c:3a:20:30"},
		{"a C array", "{0x16, 0x03, 0x01, 0x20, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x20,\n 0x7c,0x77,0x6f,0x72,0x6c,0x64,0x7c,0x3a,0x20,0x30}"},
		{"an escaped string", `"\x16\x03\x01\x20\x68\x65\x6c\x6c\x6f\x20\x20\x7c\x77\x6f\x72\x6c\x64\x7c\x3a\x20\x30"`},
		{"xxd", "00000000: 1603 0120 6865 6c6c 6f20 207c 776f 726c  ... hello  |worl\n00000010: 647c 3a20 30                             d|: 0\n"},
		{"hexdump -C", "00000000  16 03 01 20 68 65 6c 6c  6f 20 20 7c 77 6f 72 6c  |... hello  |worl|\n00000010  64 7c 3a 20 30                                    |d|: 0|\n00000015\n"},
		{"Wireshark", "0000   16 03 01 20 68 65 6c 6c 6f 20 20 7c 77 6f 72 6c   ... hello  |worl\n0010   64 7c 3a 20 30                                    d|: 0\n"},
		{"comments", "# a hello\n16030120\n// more\n68656c6c6f20207c776f726c647c3a2030"},
		{"carriage returns", "16030120\r\n68656c6c6f20207c776f726c647c3a2030\r\n"},
	} {
		got, err := Decode([]byte(c.in))
		if err != nil || !bytes.Equal(got, bytes20) {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, bytes20)
		}
	}
}

func TestDecodeSaysWhereTheTextBreaks(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
	}{
		{"nothing", "", ErrNotHex.Error()},
		{"only comments", "# nothing\n", ErrNotHex.Error()},
		{"prose", "GET / HTTP/1.1\r\n", ErrNotHex.Error()},
		{"half a byte at the end", "160301\n1", "hexdump: line 2: encoding/hex: odd length hex string"},
		{"a letter too many", "160301\n\n0g", "hexdump: line 3: encoding/hex: invalid byte: U+0067 'g'"},
	} {
		if _, err := Decode([]byte(c.in)); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// FuzzDecode: whatever bytes are dumped, the common forms of dump give them back.
func FuzzDecode(f *testing.F) {
	f.Add(bytes20)
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Add(bytes.Repeat([]byte("ab "), 11))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			if _, err := Decode(b); !errors.Is(err, ErrNotHex) {
				t.Fatal(err)
			}
			return
		}
		for name, dump := range map[string]string{"hexdump -C": hex.Dump(b), "xxd": xxd(b), "plain": hex.EncodeToString(b)} {
			if got, err := Decode([]byte(dump)); err != nil || !bytes.Equal(got, b) {
				t.Errorf("%s: got %x, %v; want %x\n%s", name, got, err, b, dump)
			}
		}
	})
}

// xxd writes b as the program of this name does.
func xxd(b []byte) string {
	var s strings.Builder
	for at := 0; at < len(b); at += 16 {
		line := b[at:min(at+16, len(b))]
		var pairs strings.Builder
		for i := 0; i < len(line); i += 2 {
			fmt.Fprintf(&pairs, "%x ", line[i:min(i+2, len(line))])
		}
		fmt.Fprintf(&s, "%08x: %-40s %s\n", at, pairs.String(), printable(line))
	}
	return s.String()
}

func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '.'
		}
		return r
	}, string(bytes.ToValidUTF8(b, []byte("."))))
}
