package certs

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// block is a block of a type with some bytes, in PEM.
func block(kind string, size int) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes.Repeat([]byte{7}, size)}))
}

// read says what Blocks finds in a file: the types of its blocks, and what is wrong with the last one.
func readBlocks(data string) (types string, wrong *Error) {
	var all []string
	for b, w := range Blocks("x", []byte(data)) {
		if wrong = w; w == nil {
			all = append(all, b.Type)
		}
	}
	return strings.Join(all, ", "), wrong
}

func TestTextAroundBlocksIsOfNoAccount(t *testing.T) {
	t.Parallel()
	cert, crl := block("CERTIFICATE", 100), block("X509 CRL", 90)
	for _, c := range []struct{ name, data, want string }{
		{"nothing", "", ""},
		{"text alone", "hello\n-----\n----BEGIN\n", ""},
		{"two blocks", cert + crl, "CERTIFICATE, X509 CRL"},
		{"blocks of any other type", block("DH PARAMETERS", 9) + block("EC PARAMETERS", 10) + cert, "DH PARAMETERS, EC PARAMETERS, CERTIFICATE"},
		{"what openssl -text prints", "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + cert + "\n", "CERTIFICATE"},
		{"what openssl pkcs12 prints", "Bag Attributes\n    localKeyID: 01 02\nsubject=CN = a\n" + cert + "Bag Attributes: <No Attributes>\n" + crl, "CERTIFICATE, X509 CRL"},
		{"remarks", "# the root\n" + cert + "; the other\n" + cert + "# end", "CERTIFICATE, CERTIFICATE"},
		{"a block in remarks", "# " + strings.ReplaceAll(strings.TrimSpace(cert), "\n", "\n# ") + "\n" + crl, "X509 CRL"},
		{"line ends of Windows", strings.ReplaceAll(cert+crl, "\n", "\r\n"), "CERTIFICATE, X509 CRL"},
		{"no newline at the end", strings.TrimSpace(cert + crl), "CERTIFICATE, X509 CRL"},
		{"empty lines", "\n\n" + cert + "\n \n\n" + crl, "CERTIFICATE, X509 CRL"},
		{"blanks at the end of lines", strings.ReplaceAll(cert, "\n", " \t\n"), "CERTIFICATE"},
		{"blanks in front of base64", strings.ReplaceAll(cert, "\nB", "\n  B"), "CERTIFICATE"},
		{"all base64 on one line", "-----BEGIN CERTIFICATE-----\n" + strings.Repeat("BwcH", 100) + "\n-----END CERTIFICATE-----\n", "CERTIFICATE"},
		{"headers", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nBwcH\n-----END RSA PRIVATE KEY-----\n", "RSA PRIVATE KEY"},
		{"a byte order mark", "\ufeff" + cert + crl, "CERTIFICATE, X509 CRL"},
	} {
		if got, wrong := readBlocks(c.data); got != c.want || wrong != nil {
			t.Errorf("%s: %s, %v; want %s", c.name, got, wrong, c.want)
		}
	}
}

// What has begun, and is not whole, is told with its place.
func TestADamagedBlockIsNotTakenForText(t *testing.T) {
	t.Parallel()
	cert := block("CERTIFICATE", 100) // lines 1 to 5
	lines := func(i, j int) string { return strings.Join(strings.SplitAfter(cert, "\n")[i-1:j], "") }
	change := func(old, new string) string { return strings.Replace(cert, old, new, 1) }
	const second = "block 2 (CERTIFICATE, line 6) "
	for _, c := range []struct{ name, data, why, hint string }{
		{"a sign that is not base64", change("Bwc", "B*c"), second + "is not base64 in line 7", "copy it again"},
		{"a sign too few", change("Bwc", "Bc"), second + "has base64 that is not whole", "copy it again"},
		{"a sign of UTF-8", change("Bwc", "Bücher"), second + "is not base64 in line 7", "copy it again"},
		{"no END", lines(1, 3), second + "has no END", "cut"},
		{"cut in its END", cert[:len(cert)-8], second + "has an END that is not whole, in line 10", "five dashes"},
		{"cut in the word END", cert[:strings.Index(cert, "ND CERT")], second + "has no END", "cut"},
		{"cut in its BEGIN", "-----BEGIN CERT", "block 2 (line 6) has no END", "cut"},
		{"cut in the word BEGIN", "-----BEGIN", "block 2 (line 6) has no END", "cut"},
		{"a BEGIN alone", "-----BEGIN CERTIFICATE-----", second + "has no END", "cut"},
		{"another one begins before its END", lines(1, 3) + cert, second + "has no END before line 9, where another one begins", "copy it again"},
		{"no BEGIN", lines(2, 5), "block 2 (line 9) has an END and no BEGIN", "copy it again"},
		{"too few dashes in front of BEGIN", cert[1:], "block 2 (line 10) has an END and no BEGIN", "copy it again"},
		{"too few dashes behind BEGIN", change("CATE-----", "CATE----"), "block 2 (line 6) has a BEGIN that is not whole", "five dashes"},
		{"too few dashes behind END", change("END CERTIFICATE-----", "END CERTIFICATE----"), second + "has an END that is not whole, in line 10", "five dashes"},
		{"something after END", change("END CERTIFICATE-----", "END CERTIFICATE----- #"), second + "has an END that is not whole, in line 10", "nothing after them"},
		{"the END of something else", change("END CERTIFICATE", "END X509 CRL"), second + "ends in line 10 as something else", "copy it again"},
		{"blanks in front of BEGIN", " " + cert, second + "has something in front of its BEGIN, which is not to be seen", "start of its line"},
		{"a byte order mark within the file", "\ufeff" + cert, second + "has something in front of its BEGIN, which is not to be seen", "start of its line"},
		{"text in front of BEGIN", "CN=root" + cert, second[:8] + "(line 6) has something in front of its BEGIN", "joined"},
		{"blanks in front of END", change("-----END", " -----END"), second + "has blanks in front of its END, in line 10", "start of its line"},
		{"blanks for newlines", strings.ReplaceAll(cert, "\n", " "), "block 2 (line 6) is all on one line", "newlines"},
		{"files joined without a newline", strings.TrimSpace(cert) + cert, second + "ends in line 10, and so another one begins there", "joined"},
		{"a part of a type that may be anything", "-----BEGIN MIIEvQIBADAN-----\n", "block 2 (line 6) has no END", "cut"},
	} {
		got, wrong := readBlocks(cert + c.data)
		if got != "CERTIFICATE" || wrong == nil || wrong.Why != "is damaged: "+c.why || wrong.File != "x" || !strings.Contains(wrong.Hint, c.hint) {
			t.Errorf("%s: %s, %+v; want %s, with a hint about %s", c.name, got, wrong, c.why, c.hint)
		}
	}
	for _, utf16 := range []string{"\xff\xfe-\x00-\x00", "\xfe\xff\x00-\x00-"} {
		if got, wrong := readBlocks(utf16); got != "" || wrong == nil || !strings.HasPrefix(wrong.Why, "is text in UTF-16") {
			t.Errorf("%q: %s, %v", utf16, got, wrong)
		}
	}
}

// A file that is cut anywhere is not taken for what is left of it, but where a block ends.
func TestACutFileIsToldFromAWholeOne(t *testing.T) {
	t.Parallel()
	cert := block("CERTIFICATE", 100)
	for n := range len(cert) {
		_, wrong := readBlocks(cert + cert[:n])
		if begun, ended := n >= len("-----BEGIN"), n == len(cert)-1; (wrong != nil) != (begun && !ended) {
			t.Errorf("cut after %d bytes of %d: %v", n, len(cert), wrong)
		}
	}
}

// The authorities that systems come with are taken as they are.
func TestTheAuthoritiesOfTheSystemAreTaken(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"} {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if all, wrong := Authorities(path, data); wrong != nil || len(all) != strings.Count(string(data), "-----BEGIN CERTIFICATE") {
			t.Errorf("%s: %d authorities, %v", path, len(all), wrong)
		}
	}
}

// Where Blocks finds nothing wrong, it finds what encoding/pem does; and that skips nothing that Blocks has not told of.
func FuzzBlocks(f *testing.F) {
	cert := block("CERTIFICATE", 20)
	for _, s := range []string{
		"", cert, cert + cert, "text\n" + cert + " \n", "\ufeff" + cert, strings.ReplaceAll(cert, "\n", "\r\n"), cert[:30], cert[20:],
		strings.TrimSpace(cert) + cert, "x" + cert, " " + cert, "-----BEGIN A-----\nB: c\n\nBwcH\n-----END A-----", "-----BEGIN -----\n-----END -----\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := slices.Clone(data)
		rest, lines := withoutMark(data), bytes.Count(data, []byte("\n"))+1
		for b, wrong := range Blocks("x", data) {
			if isUTF16(data) {
				return
			}
			if b.Line < 1 || b.Line > lines {
				t.Fatalf("block %d is at line %d of %d", b.Number, b.Line, lines)
			}
			if wrong != nil {
				return
			}
			var want *pem.Block
			want, rest = pem.Decode(rest)
			if want == nil || want.Type != b.Type || !bytes.Equal(want.Bytes, b.Bytes) || fmt.Sprint(want.Headers) != fmt.Sprint(b.Headers) {
				t.Fatalf("block %d is %q, %x; encoding/pem finds %v", b.Number, b.Type, b.Bytes, want)
			}
		}
		if more, _ := pem.Decode(rest); more != nil {
			t.Fatalf("encoding/pem finds one more: %v", more)
		}
		if !bytes.Equal(data, before) {
			t.Fatal("the data was changed")
		}
	})
}
