package certs

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// flaw is a Config with a mistake, and how it is told.
type flaw struct {
	name string
	make func(t *testing.T, dir string) Config
	part Part
	file string // that is wrong
	why  string
	hint string // "" for any
}

func one(cert, key string) Config { return Config{Pairs: []PairFile{{Cert: cert, Key: key}}} }

var flaws = []flaw{
	{"a certificate that is not there", func(t *testing.T, dir string) Config {
		return one(filepath.Join(dir, "none"), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "none", "cannot be read: no such file or directory", ""},
	{"a key that is not there", func(t *testing.T, dir string) Config {
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, filepath.Join(dir, "none"))
	}, PartKey, "none", "cannot be read: no such file or directory", ""},
	{"a directory for a certificate", func(t *testing.T, dir string) Config {
		return one(dir, pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, ".", "is not a regular file", ""},
	{"a pipe for a key, which nobody waits for", func(t *testing.T, dir string) Config {
		pipe := filepath.Join(dir, "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, pipe)
	}, PartKey, "pipe", "is not a regular file", ""},
	{"a file that is too large", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", ecKey(), "a.example.com")
		write(t, dir, "a.crt", make([]byte, maxPair+1))
		return one(p.Cert, p.Key)
	}, PartCert, "a.crt", "is larger than 1 MiB", ""},
	{"no certificate in the file", func(t *testing.T, dir string) Config {
		return one(write(t, dir, "x", []byte("hello")), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "holds no certificate", "it must be PEM, with BEGIN CERTIFICATE"},
	{"cert and key the wrong way round", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", ecKey(), "a.example.com")
		return one(p.Key, p.Cert)
	}, PartCert, "a.key", "holds a private key", "swap cert and key"},
	{"no key in the file", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", ecKey(), "a.example.com")
		return one(p.Cert, write(t, dir, "x", []byte("hello")))
	}, PartKey, "x", "holds no private key", ""},
	{"a key with a passphrase", func(t *testing.T, dir string) Config {
		sealed := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("sealed")})
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, write(t, dir, "x", sealed))
	}, PartKey, "x", "is encrypted with a passphrase", "decrypt it: openssl pkey -in KEY -out PLAIN"},
	{"the key of another certificate", func(t *testing.T, dir string) Config {
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, pairIn(t, dir, "b", otherKey(), "b.example.com").Key)
	}, PartKey, "b.key", "does not belong to its certificate", ""},
	{"a key of another kind", func(t *testing.T, dir string) Config {
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, pairIn(t, dir, "b", rsaKey(), "b.example.com").Key)
	}, PartKey, "b.key", "does not belong to its certificate", ""},
	{"the chain before the certificate", func(t *testing.T, dir string) Config {
		chain := certFor(t, otherKey(), life, "ca.example.com")
		cert := write(t, dir, "x", chain, certFor(t, ecKey(), life, "a.example.com"))
		return one(cert, pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartKey, "a.key", "does not belong to its certificate", "the certificate of this key is number 2 in the file; put it first, before its chain"},
	{"a certificate that is no DER", func(t *testing.T, dir string) Config {
		broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not DER")})
		return one(write(t, dir, "x", broken), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "cannot be used: block 1 (CERTIFICATE, line 1): x509: malformed certificate", ""},
	{"a chain with a damaged certificate", func(t *testing.T, dir string) Config {
		leaf, damaged := certFor(t, ecKey(), life, "a.example.com"), bytes.Replace(certFor(t, otherKey(), life), []byte("M"), []byte("*"), 1)
		return one(write(t, dir, "x", leaf, damaged, leaf), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "is damaged: block 2 (CERTIFICATE, line ", "copy it again"},
	{"a chain with a certificate that is no DER", func(t *testing.T, dir string) Config {
		leaf, broken := certFor(t, ecKey(), life, "a.example.com"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not DER")})
		return one(write(t, dir, "x", leaf, broken), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "cannot be used: block 2 (CERTIFICATE, line ", ""},
	{"a damaged certificate before its chain", func(t *testing.T, dir string) Config {
		leaf, chain := certFor(t, ecKey(), life, "a.example.com"), certFor(t, otherKey(), life)
		return one(write(t, dir, "x", bytes.Replace(leaf, []byte("M"), []byte("*"), 1), chain), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "is damaged: block 1 (CERTIFICATE, line 1) is not base64 in line 2", "copy it again"},
	{"a certificate and a chain that were joined without a newline", func(t *testing.T, dir string) Config {
		leaf, chain := certFor(t, ecKey(), life, "a.example.com"), certFor(t, otherKey(), life)
		return one(write(t, dir, "x", bytes.TrimSpace(leaf), chain), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "is damaged: block 1 (CERTIFICATE, line 1) ends in line ", "these are files that were joined without a newline between them: have -----BEGIN on a line of its own"},
	{"a certificate that openssl calls trusted, in a chain", func(t *testing.T, dir string) Config {
		leaf, trusted := certFor(t, ecKey(), life, "a.example.com"), bytes.ReplaceAll(certFor(t, otherKey(), life), []byte("CERT"), []byte("TRUSTED CERT"))
		return one(write(t, dir, "x", leaf, trusted), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "cannot be used: block 2 (TRUSTED CERTIFICATE, line ", "convert it: openssl x509 -in x -out x.pem"},
	{"a key that was cut", func(t *testing.T, dir string) Config {
		key := keyPEM(t, ecKey())
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, write(t, dir, "x", key[:len(key)-40]))
	}, PartKey, "x", "is damaged: block 1 (PRIVATE KEY, line 1) has no END", "the file was cut: copy it again, whole"},
	{"a key that is none", func(t *testing.T, dir string) Config {
		key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("not DER")})
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, write(t, dir, "x", key))
	}, PartKey, "x", "cannot be used: block 1 (PRIVATE KEY, line 1): failed to parse private key", ""},
	{"a certificate in DER", func(t *testing.T, dir string) Config {
		return one(write(t, dir, "x", derOf(certFor(t, ecKey(), life, "a.example.com"))), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "is a certificate in DER, and not PEM", "convert it: openssl x509 -inform DER -in x -out x.pem"},
	{"a key in DER", func(t *testing.T, dir string) Config {
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, write(t, dir, "x", derOf(keyPEM(t, ecKey()))))
	}, PartKey, "x", "is a private key in DER, and not PEM", "convert it: openssl pkey -inform DER -in x -out x.pem && chmod 600 x.pem"},
	{"a certificate in DER for a key", func(t *testing.T, dir string) Config {
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, write(t, dir, "x", derOf(certFor(t, ecKey(), life, "a.example.com"))))
	}, PartKey, "x", "is a certificate in DER, and not PEM", "it must be PEM, with BEGIN PRIVATE KEY"},
	{"PKCS#12", func(t *testing.T, dir string) Config {
		path := write(t, dir, "x.p12", []byte("\x30\x82\x03\x4e\x02\x01\x03\x30\x82\x03\x14"))
		return one(path, path)
	}, PartCert, "x.p12", "is PKCS#12, and not PEM", "convert it: openssl pkcs12 -in x.p12 -nodes -out x.p12.pem && chmod 600 x.p12.pem"},
	{"PKCS#7 in DER", func(t *testing.T, dir string) Config {
		data := []byte("\x30\x82\x03\x4e\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x82\x03\x3f")
		return one(write(t, dir, "x", data), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "is PKCS#7, and not PEM", "convert it: openssl pkcs7 -inform DER -in x -print_certs -out x.pem"},
	{"PKCS#7 in PEM", func(t *testing.T, dir string) Config {
		return one(write(t, dir, "x", []byte(block("PKCS7", 40))), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "holds no certificate, but PKCS#7", "convert it: openssl pkcs7 -in x -print_certs -out x.pem"},
	{"a request for a certificate", func(t *testing.T, dir string) Config {
		return one(write(t, dir, "x", []byte(block("CERTIFICATE REQUEST", 40))), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "holds no certificate, but a request for one", "name the file that the authority has sent for it"},
	{"a public key", func(t *testing.T, dir string) Config {
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, write(t, dir, "x", []byte(block("PUBLIC KEY", 40))))
	}, PartKey, "x", "holds no private key, but a public one", "name the file of the private one"},
	{"a key of OpenSSH", func(t *testing.T, dir string) Config {
		return one(pairIn(t, dir, "a", ecKey(), "a.example.com").Cert, write(t, dir, "x", []byte(block("OPENSSH PRIVATE KEY", 40))))
	}, PartKey, "x", "is a key of OpenSSH, in a format of its own",
		"convert a copy, which works for ECDSA and RSA: cp x x.pem && ssh-keygen -p -N '' -m PKCS8 -f x.pem"},
	{"a certificate alone, and no file of a key", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", ecKey(), "a.example.com")
		return one(p.Cert, p.Cert)
	}, PartKey, "a.crt", "holds no private key", "name the file of the key with `key`"},
	{"text in UTF-16", func(t *testing.T, dir string) Config {
		return one(write(t, dir, "x", []byte("\xff\xfe-\x00")), pairIn(t, dir, "a", ecKey(), "a.example.com").Key)
	}, PartCert, "x", "is text in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8 x > x.pem"},
	{"a short RSA key", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", shortKey(), "a.example.com")
		return one(p.Cert, p.Key)
	}, PartKey, "a.key", "is an RSA key of 1024 bits; the least is 2048", ""},
	{"a curve that TLS does not know", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", p224Key(), "a.example.com")
		return one(p.Cert, p.Key)
	}, PartKey, "a.key", "is an ECDSA key on P-224, which TLS does not know (RFC 8422 §5.1.1); take P-256", ""},
	{"a certificate for no name", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", ecKey())
		return one(p.Cert, p.Key)
	}, PartCert, "a.crt", "is for no name: its subjectAltName has no DNS name", ""},
	{"an expired certificate", func(t *testing.T, dir string) Config {
		key := pairIn(t, dir, "a", ecKey(), "a.example.com").Key
		return one(write(t, dir, "x", certFor(t, ecKey(), -48*time.Hour, "a.example.com")), key)
	}, PartCert, "x", "has expired on " + day(time.Now().Add(-48*time.Hour)), "renew it, or say `allow_expired: true`"},
	{"a key that others may read", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", ecKey(), "a.example.com")
		chmod(t, p.Key, 0o644)
		return one(p.Cert, p.Key)
	}, PartKey, "a.key", "may be read by others (mode 0644)", "chmod 600 a.key"},
	{"a key that the group may read", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", ecKey(), "a.example.com")
		chmod(t, p.Key, 0o640)
		return one(p.Cert, p.Key)
	}, PartKey, "a.key", "may be read by others (mode 0640)", "chmod 600 a.key"},
	{"a key that others may change", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", ecKey(), "a.example.com")
		chmod(t, p.Key, 0o602)
		return one(p.Cert, p.Key)
	}, PartKey, "a.key", "may be changed by others (mode 0602)", "chmod 600 a.key"},
	{"a key behind a link counts as what it leads to", func(t *testing.T, dir string) Config {
		p := pairIn(t, dir, "a", ecKey(), "a.example.com")
		chmod(t, p.Key, 0o604)
		if err := os.Symlink(p.Key, filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		return one(p.Cert, filepath.Join(dir, "link"))
	}, PartKey, "link", "may be read by others (mode 0604)", ""},
	{"a combined file that others may read", func(t *testing.T, dir string) Config {
		path := write(t, dir, "a.pem", certFor(t, ecKey(), life, "a.example.com"), keyPEM(t, ecKey()))
		chmod(t, path, 0o644)
		return one(path, path)
	}, PartCert, "a.pem", "may be read by others (mode 0644)", ""},
	{"a certificate's file that others may read and that has a key, too", func(t *testing.T, dir string) Config {
		path := write(t, dir, "a.pem", certFor(t, ecKey(), life, "a.example.com"), keyPEM(t, ecKey()))
		chmod(t, path, 0o644)
		return one(path, write(t, dir, "a.key", keyPEM(t, ecKey())))
	}, PartCert, "a.pem", "has a private key in it, and may be read by others (mode 0644)", "chmod 600 a.pem"},
	{"a directory that is not there", func(t *testing.T, dir string) Config {
		return Config{Dirs: []string{filepath.Join(dir, "none")}}
	}, PartDir, "none", "cannot be read: no such file or directory", ""},
	{"a file for a directory", func(t *testing.T, dir string) Config {
		return Config{Dirs: []string{write(t, dir, "x")}}
	}, PartDir, "x", "is not a directory", ""},
}

// derOf is what the first block of a file holds.
func derOf(file []byte) []byte {
	block, _ := pem.Decode(file)
	return block.Bytes
}

func chmod(t testing.TB, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

func TestWhatIsWrongIsToldWithItsFile(t *testing.T) {
	t.Parallel()
	for _, c := range flaws {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cfg := c.make(t, dir)
			s, err := Open(&cfg)
			e, ok := errors.AsType[*Error](err)
			if !ok || s != nil {
				t.Fatalf("Open: %v, %v", s, err)
			}
			if all := err.(Errors); len(all) != 1 {
				t.Errorf("more than one mistake: %v", err)
			}
			if want := filepath.Join(dir, c.file); e.Part != c.part || e.File != want || e.Index != 0 {
				t.Errorf("part %d[%d] %s; want part %d[0] %s", e.Part, e.Index, e.File, c.part, want)
			}
			if !strings.HasPrefix(e.Why, c.why) {
				t.Errorf("why: %q, want %q", e.Why, c.why)
			}
			if hint := strings.ReplaceAll(e.Hint, dir+"/", ""); c.hint != "" && hint != c.hint {
				t.Errorf("hint: %q, want %q", hint, c.hint)
			}
		})
	}
}

// What is advised for a key that others may touch leaves it one that the process can read.
func TestWhoIsToOwnAKeyIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		owner, me int
		want      string
	}{
		{"one's own", 998, 998, "chmod 600 a.key"},
		{"root's own", 0, 0, "chmod 600 a.key"},
		{"root's, and the process is not root", 0, 998, "give it, or a copy, to the user of this process: chown 998 a.key && chmod 600 a.key"},
		{"another user's", 1000, 998, "give it, or a copy, to the user of this process: chown 998 a.key && chmod 600 a.key"},
		{"a user's, and the process is root", 998, 0, "chown root a.key && chmod 600 a.key, or run this as the user that it belongs to"},
	} {
		if got := accessHint("a.key", c.owner, c.me); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	good := pairIn(t, dir, "a", ecKey(), "a.example.com")
	_, err := Open(&Config{Pairs: []PairFile{{Cert: none, Key: none + ".key"}, good, {Cert: good.Cert, Key: none}}, Dirs: []string{dir, none}})
	want := []Error{{Part: PartCert}, {Part: PartKey}, {Part: PartKey, Index: 2}, {Part: PartDir, Index: 1}}
	all, _ := errors.AsType[Errors](err)
	if len(all) != len(want) || !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Open: %v", err)
	}
	for i, e := range all {
		if e.Part != want[i].Part || e.Index != want[i].Index {
			t.Errorf("mistake %d is about part %d[%d]: %v", i, e.Part, e.Index, e)
		}
	}
}

func TestWhatIsAllowedAndYetProbablyNotMeant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := pairIn(t, dir, "a", ecKey(), "a.example.com").Key
	stored := write(t, dir, "stored.key", keyPEM(t, ecKey()))
	chmod(t, stored, 0o444)
	soon := write(t, dir, "soon.crt", certFor(t, ecKey(), 20*time.Minute, "a.example.com"))
	late := write(t, dir, "late.crt", certFor(t, ecKey(), -48*time.Hour, "a.example.com"))
	nameless := write(t, dir, "nameless.crt", certFor(t, ecKey(), life))
	for _, c := range []struct {
		name string
		pair PairFile
		why  string
	}{
		{"a certificate that is good for long", PairFile{Cert: filepath.Join(dir, "a.crt"), Key: key}, ""},
		{"one that expires soon", PairFile{Cert: soon, Key: key}, "expires on " + day(time.Now().Add(20*time.Minute))},
		{"an expired one that is allowed", PairFile{Cert: late, Key: key, AllowExpired: true}, "has expired on " + day(time.Now().Add(-48*time.Hour))},
		{"a key in a store that nobody may write to", PairFile{Cert: filepath.Join(dir, "a.crt"), Key: stored}, "may be read by others (mode 0444)"},
		{"a default without a name", PairFile{Cert: nameless, Key: key, Default: true}, ""},
	} {
		s, err := Open(&Config{Pairs: []PairFile{c.pair}})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := ""
		for _, w := range s.Warnings() {
			got += w.Why
		}
		if got != c.why {
			t.Errorf("%s: warnings %q, want %q", c.name, got, c.why)
		}
	}
}

// Whatever is said of a key must not quote it.
func TestNoMessageQuotesAKey(t *testing.T) {
	t.Parallel()
	var keys [][]byte
	for _, key := range [][]byte{keyPEM(t, ecKey()), keyPEM(t, otherKey()), keyPEM(t, rsaKey()), keyPEM(t, edKey()), keyPEM(t, shortKey())} {
		keys = append(keys, bytes.Split(key, []byte("\n"))[1])
	}
	damaged := func(name string, damage func(key string) string) flaw {
		return flaw{name: name, make: func(t *testing.T, dir string) Config {
			p := pairIn(t, dir, "a", ecKey(), "a.example.com")
			write(t, dir, "a.key", []byte(damage(string(keyPEM(t, ecKey())))))
			return one(p.Cert, p.Key)
		}}
	}
	all := append([]flaw{
		damaged("a torn key", func(key string) string { return key[:len(key)-40] }),
		damaged("a mangled key", func(key string) string { return strings.Replace(key, "M", "N", 3) }),
		damaged("a key that is not base64", func(key string) string { return strings.Replace(key, "M", "*", 1) }),
		damaged("a key on one line", func(key string) string { return strings.ReplaceAll(key, "\n", "") }),
		damaged("a key without its BEGIN", func(key string) string { return key[len("-----BEGIN PRIVATE KEY-----\n"):] }),
		damaged("a key in the place of its type", func(key string) string {
			return strings.ReplaceAll(strings.ReplaceAll(key, "\n", ""), "KEY-----M", "KEY M")
		}),
	}, flaws...)
	for _, c := range all {
		cfg := c.make(t, t.TempDir())
		_, err := Open(&cfg)
		if err == nil {
			t.Fatalf("%s is taken", c.name)
		}
		for _, e := range err.(Errors) {
			for _, key := range keys {
				if text := e.Error() + e.Hint; strings.Contains(text, string(key[:16])) {
					t.Errorf("%s: the message holds the key: %s", c.name, text)
				}
			}
		}
	}
}

func TestACertificateInThePlaceOfAKeyIsCalledThat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := pairIn(t, dir, "a", ecKey(), "a.example.com")
	chmod(t, p.Cert, 0o644)
	_, err := Open(&Config{Pairs: []PairFile{{Cert: p.Key, Key: p.Cert}, {Cert: p.Cert, Key: p.Cert}}})
	all, _ := errors.AsType[Errors](err)
	if len(all) != 2 || all[0].Why != "holds a private key" || all[1].Why != "holds no private key" {
		t.Errorf("Open: %v", err)
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for _, c := range []struct {
		name string
		pair PairFile
	}{{"ECDSA", pairIn(b, dir, "ec", ecKey(), "a.example.com")}, {"RSA", pairIn(b, dir, "rsa", rsaKey(), "a.example.com")}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				open(b, &Config{Pairs: []PairFile{c.pair}})
			}
		})
	}
}
