package certs

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Block is one block of a file in PEM (RFC 7468), such as a certificate.
type Block struct {
	Type    string            // "CERTIFICATE"
	Headers map[string]string // of keys with a passphrase (RFC 1421 §4.6)
	Bytes   []byte            // what its base64 stands for; nil if it is damaged
	Number  int               // among the blocks of the file, from 1
	Line    int               // of its BEGIN, from 1

	file string
}

// Blocks yields the blocks of a file in PEM, in their order. What is before, between and after them is text, and of no
// account: the output of openssl has some. [encoding/pem] takes what it cannot decode for text, too, so that an authority
// or a list whose base64 is damaged would be as good as not there. Here whatever has begun must come to its end: if a
// block does not, it is yielded with the error, which says where it is, and is the last one.
//
//	any text                        none of its lines begins with -----BEGIN or -----END
//	-----BEGIN CERTIFICATE-----     the line number of the block
//	MIIB…                           base64, with blanks if need be
//	-----END CERTIFICATE-----       at the start of a line, too, and alone on it
//
// A byte order mark in UTF-8 at the start of a file is no part of it.
func Blocks(path string, data []byte) iter.Seq2[*Block, *Error] {
	return func(yield func(*Block, *Error) bool) {
		if isUTF16(data) {
			yield(&Block{file: path}, &Error{File: path, Why: "is text in UTF-16, and not in ASCII or UTF-8",
				Hint: fmt.Sprintf("convert it: iconv -f UTF-16 -t UTF-8 %[1]s > %[1]s.pem", path)})
			return
		}
		r := &blockReader{file: path, rest: withoutMark(data)}
		for {
			b, wrong := r.next()
			if b == nil || !yield(b, wrong) || wrong != nil {
				return
			}
		}
	}
}

// withoutMark is data without the byte order mark that editors put in front of it.
func withoutMark(data []byte) []byte { return bytes.TrimPrefix(data, byteOrderMark) }

var byteOrderMark = []byte("\ufeff")

func isUTF16(data []byte) bool {
	return bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff})
}

// blockReader reads a file line by line. Whether a block is sound is left to encoding/pem, so that nothing is read in two
// ways: crypto/tls uses that, too.
type blockReader struct {
	file   string
	rest   []byte
	line   int // number of the line before rest
	blocks int // that there were
	inner  int // line of text that has a BEGIN in it, but not at its start; 0: there was none since the last block
}

var (
	beginOf = []byte("-----BEGIN ")
	endOf   = []byte("-----END ")
)

// next returns the next block, with what is wrong with it; nil if there is none.
func (r *blockReader) next() (*Block, *Error) {
	for len(r.rest) > 0 {
		from := r.rest
		line := r.readLine()
		inner := bytes.Index(line, beginOf)
		switch {
		case inner == 0, string(line) == "-----BEGIN": // and there it was cut
			return r.block(from, line)
		case inner > 0 && len(bytes.Trim(line[:inner], " \t\ufeff")) == 0:
			b := r.newBlock(line[inner:])
			return b, b.damaged("has something in front of its BEGIN, which is not to be seen", "have -----BEGIN at the start of its line")
		case inner > 0:
			r.inner = r.line // a remark, unless the block goes on
		case bytes.HasPrefix(line, endOf):
			return r.neverBegun()
		}
	}
	return nil, nil
}

// readLine reads a line, without what ends it.
func (r *blockReader) readLine() []byte {
	line, rest, _ := bytes.Cut(r.rest, []byte("\n"))
	r.rest = rest
	r.line++
	return bytes.TrimRight(line, " \t\r")
}

// newBlock is the block that a line begins.
func (r *blockReader) newBlock(begin []byte) *Block {
	r.blocks++
	return &Block{Type: typeOf(begin), Number: r.blocks, Line: r.line, file: r.file}
}

// typeOf is what a line that begins or ends a block says that it is; "" if it is not whole.
func typeOf(line []byte) string {
	_, kind, _ := strings.Cut(string(line), " ")
	kind, whole := strings.CutSuffix(kind, "-----")
	if !whole || strings.Contains(kind, "-----") {
		return ""
	}
	return kind
}

// block reads to the end of a block. Its first line, begin, is that of from.
func (r *blockReader) block(from, begin []byte) (*Block, *Error) {
	r.inner = 0
	b := r.newBlock(begin)
	if bytes.Contains(begin, endOf) {
		return b, b.damaged("is all on one line", "its newlines were lost: copy it again")
	}
	for len(r.rest) > 0 {
		before := r.rest
		line := r.readLine()
		switch {
		case bytes.HasPrefix(line, beginOf):
			r.rest = before
			return b, b.damaged(fmt.Sprintf("has no END before line %d, where another one begins", r.line), "a part of it is missing: copy it again, whole")
		case bytes.HasPrefix(line, endOf):
			text := from[:len(from)-len(r.rest)]
			block, _ := pem.Decode(text)
			if block == nil {
				return b, b.diagnose(text, begin, line, r.line)
			}
			b.Type, b.Headers, b.Bytes = block.Type, block.Headers, block.Bytes
			return b, nil
		case bytes.HasPrefix(bytes.TrimLeft(line, " \t"), endOf):
			return b, b.damaged(fmt.Sprintf("has blanks in front of its END, in line %d", r.line), "have -----END at the start of its line")
		}
	}
	return b, b.damaged("has no END", "the file was cut: copy it again, whole")
}

// neverBegun says that a line ends what has not begun.
func (r *blockReader) neverBegun() (*Block, *Error) {
	r.blocks++
	b := &Block{Number: r.blocks, Line: r.line, file: r.file}
	if r.inner > 0 {
		b.Line = r.inner
		return b, b.damaged("has something in front of its BEGIN", "have -----BEGIN at the start of a line of its own: are these files that were joined without a newline between them?")
	}
	return b, b.damaged("has an END and no BEGIN", "a part of it is missing: copy it again, whole")
}

// diagnose says why text, from a line that begins b to number last, which ends something, cannot be decoded.
func (b *Block) diagnose(text, begin, end []byte, last int) *Error {
	const again = "copy it again"
	switch kind := typeOf(end); {
	case b.Type == "":
		return b.damaged("has a BEGIN that is not whole", "that line must end with five dashes, and with nothing after them")
	case bytes.Contains(end, beginOf):
		return b.damaged(fmt.Sprintf("ends in line %d, and so another one begins there", last),
			"these are files that were joined without a newline between them: have -----BEGIN on a line of its own")
	case kind == "":
		return b.damaged(fmt.Sprintf("has an END that is not whole, in line %d", last), "that line must end with five dashes, and with nothing after them")
	case kind != b.Type:
		return b.damaged(fmt.Sprintf("ends in line %d as something else", last), "a part of it is missing: copy it again, whole")
	}
	number, headers := b.Line, true
	for line := range bytes.Lines(text[:bytes.LastIndex(text, endOf)]) {
		if number++; number == b.Line+1 {
			continue // its BEGIN
		}
		headers = headers && bytes.Contains(line, []byte(":"))
		if !headers && bytes.ContainsFunc(line, notOfBase64) {
			return b.damaged(fmt.Sprintf("is not base64 in line %d", number-1), again)
		}
	}
	return b.damaged("has base64 that is not whole", again)
}

func notOfBase64(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("+/= \t\r\n", r)
}

// damaged says what keeps b from being decoded.
func (b *Block) damaged(what, hint string) *Error {
	return &Error{File: b.file, Why: "is damaged: " + b.where() + " " + what, Hint: hint}
}

// Unusable says what is wrong with what b holds.
func (b *Block) Unusable(why string) *Error {
	return &Error{File: b.file, Why: "cannot be used: " + b.where() + ": " + why}
}

// where names b for people to find it. Of what it says it is, only what is known is told: in a file with a key, anything
// else may be a part of that.
func (b *Block) where() string {
	if slices.Contains(knownTypes, b.Type) {
		return fmt.Sprintf("block %d (%s, line %d)", b.Number, b.Type, b.Line)
	}
	return fmt.Sprintf("block %d (line %d)", b.Number, b.Line)
}

var knownTypes = []string{
	"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", "X509 CRL",
	"PKCS7", "CMS", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY",
	"PUBLIC KEY", "DH PARAMETERS", "EC PARAMETERS",
}

// isKey reports whether b is, or was meant to be, a private key.
func (b *Block) isKey() bool { return strings.HasSuffix(b.Type, "PRIVATE KEY") }
