package acme_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/certs/acme"
)

// hmacKey is one that has bytes which base64 and base64url write differently.
const hmacKey = "\xfb\xff\xbf a key that only the authority and its customer know"

// binding writes a file with a key.
func binding(t *testing.T, id, text string, mode fs.FileMode) acme.Binding {
	t.Helper()
	b := acme.Binding{KeyID: id, File: filepath.Join(t.TempDir(), "eab.key")}
	if err := errors.Join(os.WriteFile(b.File, []byte(text), 0o600), os.Chmod(b.File, mode)); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnAccountIsBoundToWhatTheAuthorityKnows(t *testing.T) {
	a := newAuthority(t, life)
	url := base64.RawURLEncoding.EncodeToString([]byte(hmacKey))
	a.bound = map[string]string{"kid/1": url, "kid/2": url}
	a.renew(life)
	cfg := a.config(t, "a.example.com")

	unbound, answers := manager(t, cfg)
	a.serve(t, answers)
	log := &journal{}
	unbound.Start(log.logger())
	eventually(t, "a line about the missing binding", log, func() bool { return strings.Contains(log.String(), "external account binding (eab)") })
	unbound.Stop()

	cfg.Binding = binding(t, "kid/1", base64.StdEncoding.EncodeToString([]byte("another key")), 0o600)
	wrong, _ := manager(t, cfg)
	wrong.Start(log.logger())
	eventually(t, "a line about the wrong key", log, func() bool { return strings.Contains(log.String(), "unauthorized") })
	wrong.Stop()
	if _, err := wrong.Certificate("a.example.com"); !errors.Is(err, certs.ErrNone) {
		t.Errorf("with a wrong key: %v", err)
	}

	std := base64.StdEncoding.EncodeToString([]byte(hmacKey))
	for _, b := range []acme.Binding{binding(t, "kid/1", url+"\n", 0o600), binding(t, "kid/2", std, 0o400)} {
		cfg.Binding, cfg.Names = b, append(cfg.Names, strings.ReplaceAll(b.KeyID, "/", "-")+".example.com")
		bound, s := manager(t, cfg)
		answers.Order(bound)
		log = &journal{}
		bound.Start(log.logger())
		for _, name := range cfg.Names {
			eventually(t, "a certificate for "+name, log, func() bool { _, err := s.Choices(name); return err == nil })
		}
		bound.Stop()
		if n := strings.Count(log.String(), "account registered"); n != 1 {
			t.Errorf("%s: %d accounts were registered", b.KeyID, n)
		}
		keysAreSecret(t, cfg.Storage, log.String())
		nothingHolds(t, cfg.Storage, log.String(), url, std)
	}
}

// nothingHolds looks for HMAC keys where they must not be.
func nothingHolds(t *testing.T, storage, log string, keys ...string) {
	t.Helper()
	err := filepath.WalkDir(storage, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, key := range keys {
			if strings.Contains(string(text), key) || strings.Contains(log, key) {
				t.Errorf("%s, or the log, holds an HMAC key", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAKeyThatIsNoneIsRefusedWithoutQuotingIt(t *testing.T) {
	t.Parallel()
	good := base64.RawURLEncoding.EncodeToString([]byte(hmacKey))
	for _, c := range []struct {
		name, text string
		mode       fs.FileMode
		want       string
	}{
		{"others may read it", good, 0o640, "may be read by others (mode 0640)"},
		{"no base64", "§" + good, 0o600, "is no HMAC key in base64"},
		{"two keys", good + "\n" + good[:5], 0o600, "is no HMAC key in base64"},
		{"nothing", " \n", 0o600, "is no HMAC key in base64"},
	} {
		_, err := binding(t, "kid", c.text, c.mode).Check()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), good) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if warning, err := binding(t, "kid", good, 0o444).Check(); err != nil || warning == nil {
		t.Errorf("in a read-only store: warning %v, error %v", warning, err)
	}
	if _, err := (acme.Binding{KeyID: "kid", File: filepath.Join(t.TempDir(), "none")}).Check(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestCertificatesHaveTheKeysThatAreAskedFor(t *testing.T) {
	a := newAuthority(t, life)
	front, err := certs.Open(&certs.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a.serve(t, front)
	bits := func(n int) func(any) bool {
		return func(k any) bool { r, ok := k.(*rsa.PublicKey); return ok && r.N.BitLen() == n }
	}
	on := func(c elliptic.Curve) func(any) bool {
		return func(k any) bool { e, ok := k.(*ecdsa.PublicKey); return ok && e.Curve == c }
	}
	cfg := a.config(t, "a.example.com")
	for _, c := range []struct {
		key acme.KeyType
		is  func(any) bool
	}{
		{acme.P256, on(elliptic.P256())}, {acme.P384, on(elliptic.P384())}, {acme.RSA2048, bits(2048)}, {acme.RSA4096, bits(4096)},
	} {
		cfg.Key, cfg.Storage = c.key, filepath.Join(t.TempDir(), "storage")
		m, s := manager(t, cfg)
		front.Order(m)
		log := &journal{}
		m.Start(log.logger())
		eventually(t, "a certificate", log, func() bool { _, err := s.Choices("a.example.com"); return err == nil })
		cert, err := m.Certificate("a.example.com")
		if err != nil || !c.is(cert.Leaf.PublicKey) {
			t.Errorf("key type %d: a certificate for a %T, %v", c.key, cert.Leaf.PublicKey, err)
		}
		if _, err := a.handshake("a.example.com"); err != nil {
			t.Errorf("key type %d: %v", c.key, err)
		}
		m.Stop()
	}
}
