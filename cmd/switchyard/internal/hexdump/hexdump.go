// Package hexdump reads bytes written down as hexadecimal text, in the forms people paste:
//
//	16030100f4010000f0...                                     one long string
//	16:03:01:00 F4 01                                         separated
//	0x16, 0x03, 0x01        "\x16\x03\x01"                    from source code
//	00000000: 1603 0100 f401 0000 f003 03aa  ............    xxd
//	00000000  16 03 01 00 f4 01 00 00  f0 03 |..........|     hexdump -C
//	0000   16 03 01 00 f4 01 00 00   ........                 Wireshark
//	# a comment
package hexdump

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// ErrNotHex says that the text is not a hex dump at all.
var ErrNotHex = errors.New("hexdump: not a hex dump")

var (
	// offset is the column that dumps begin a line with. The last line of hexdump -C has nothing else.
	offset = regexp.MustCompile(`^([0-9a-fA-F]{4,16})(:[ \t]|[ \t]{2,}|$)`)
	// noise is what may stand between two bytes.
	noise = regexp.MustCompile(`0[xX]|\\x|[\s:,"'` + "`" + `{}\[\]-]`)
)

// Decode returns the bytes that text describes. An error that is not [ErrNotHex] names the line.
func Decode(text []byte) ([]byte, error) {
	var out []byte
	rest := text
	for n := 1; len(rest) > 0; n++ {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		b, err := decodeLine(line, len(out))
		if err != nil && len(out) == 0 {
			return nil, ErrNotHex
		}
		if err != nil {
			return nil, fmt.Errorf("hexdump: line %d: %w", n, err)
		}
		out = append(out, b...)
	}
	if len(out) == 0 {
		return nil, ErrNotHex
	}
	return out, nil
}

// decodeLine decodes one line, which begins at byte at of the dump.
func decodeLine(line []byte, at int) ([]byte, error) {
	line = bytes.TrimRight(line, " \t\r")
	if trimmed := bytes.TrimSpace(line); len(trimmed) == 0 || trimmed[0] == '#' || bytes.HasPrefix(trimmed, []byte("//")) {
		return nil, nil
	}
	line, _, _ = bytes.Cut(line, []byte("|")) // hexdump -C puts its characters between bars
	if m := offset.FindSubmatch(line); m != nil && (at > 0 || len(m[2]) > 0) {
		if v, err := strconv.ParseUint(string(m[1]), 16, 64); err == nil && v == uint64(at) {
			return decodeColumns(line[len(m[0]):])
		}
	}
	return digits(line)
}

// decodeColumns decodes what follows an offset: hex, then perhaps characters after at least two spaces. Of all
// dumps only hexdump -C has exactly two spaces after eight single bytes and then more hex.
func decodeColumns(b []byte) ([]byte, error) {
	b = bytes.TrimLeft(b, " \t")
	first, rest, _ := bytes.Cut(b, []byte("  "))
	const eightBytes = len("16 03 01 00 f4 01 00 00")
	if len(first) == eightBytes && first[2] == ' ' && len(rest) > 0 && rest[0] != ' ' {
		second, _, _ := bytes.Cut(rest, []byte("  "))
		first = append(append(bytes.Clone(first), ' '), second...)
	}
	return digits(first)
}

// digits decodes hex digits with [noise] between them.
func digits(b []byte) ([]byte, error) {
	return hex.AppendDecode(nil, noise.ReplaceAll(b, nil))
}
