package acme_test

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/certs/acme"
)

// manager returns one that is stopped at the end, and a Set in front of it.
func manager(t *testing.T, cfg acme.Config) (*acme.Manager, *certs.Set) {
	t.Helper()
	m, err := acme.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Stop)
	s, err := certs.Open(&certs.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Order(m)
	return m, s
}

const life = 24 * time.Hour

func TestCertificatesAreOrderedByTLSALPN01AndServed(t *testing.T) {
	a := newAuthority(t, life)
	cfg := a.config(t, "a.example.com", "b.example.com")
	m, s := manager(t, cfg)
	if _, err := m.Certificate("a.example.com"); !errors.Is(err, certs.ErrNone) {
		t.Fatalf("before anything was ordered: %v", err)
	}
	if s.Covers("a.example.com") != nil || s.Covers("c.example.com") == nil {
		t.Error("what is ordered, and only that, is to be covered")
	}
	if _, err := os.Stat(cfg.Storage); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the storage was made before the start")
	}
	a.serve(t, s)
	log := &journal{}
	m.Start(log.logger())
	m.Start(log.logger())
	for _, name := range cfg.Names {
		eventually(t, "a certificate for "+name, log, func() bool {
			leaf, err := a.handshake(name)
			return err == nil && leaf.VerifyHostname(name) == nil
		})
	}
	if e := certs.Expiries([]*certs.Set{s}); len(e) != 2 || e[0].File != cfg.Storage || e[0].NotAfter.Before(time.Now()) {
		t.Errorf("Expiries: %v", e)
	}
	if o, ok := s.Orders(); !ok || o.Obtained != 2 || o.Renewed != 0 || o.Missing != 0 || o.LastSuccess.IsZero() {
		t.Errorf("Orders: %+v", o)
	}
	if _, err := s.Challenge(&tls.ClientHelloInfo{ServerName: "a.example.com"}); !errors.Is(err, certs.ErrNone) {
		t.Errorf("a challenge after the validation: %v", err)
	}
	if n := strings.Count(log.String(), "account registered"); n != 1 {
		t.Errorf("%d accounts were registered", n)
	}
	keysAreSecret(t, cfg.Storage, log.String())

	m.Stop()
	m.Stop()
	if _, err := a.handshake("a.example.com"); err != nil {
		t.Errorf("after the stop: %v", err)
	}
	m.Start(log.logger())
	if _, err := m.Certificate("a.example.com"); err != nil {
		t.Errorf("right after another start: %v", err)
	}
	m.Stop()
	again, _ := manager(t, cfg)
	if _, err := again.Certificate("b.example.com"); err != nil {
		t.Errorf("a certificate of the storage: %v", err)
	}
}

// keysAreSecret looks at every key of a storage: nobody else may read it, and no log has quoted it.
func keysAreSecret(t *testing.T, storage, log string) {
	t.Helper()
	keys := 0
	err := filepath.WalkDir(storage, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".key" {
			return err
		}
		keys++
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		text, err := os.ReadFile(path)
		if lines := strings.Split(string(text), "\n"); len(lines) < 3 || strings.Contains(log, lines[1][:20]) {
			t.Errorf("the log holds the key %s", path)
		}
		return err
	})
	if err != nil || keys < 2 {
		t.Errorf("%d keys in the storage: %v", keys, err)
	}
}

func TestCertificatesAreOrderedByHTTP01(t *testing.T) {
	a := newAuthority(t, life)
	cfg := a.config(t, "a.example.com", "b.example.com")
	cfg.TLSALPN, cfg.HTTP, cfg.HTTPBind = false, true, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.httpPort)
	m, _ := manager(t, cfg)
	log := &journal{}
	m.Start(log.logger())
	for _, name := range cfg.Names {
		eventually(t, "a certificate for "+name, log, func() bool {
			_, err := m.Certificate(name)
			return err == nil
		})
	}
	eventually(t, "the end of listening", log, func() bool {
		res, err := http.Get("http://" + cfg.HTTPBind.String())
		if err == nil {
			res.Body.Close() // or its goroutines wait for somebody to read it
		}
		return err != nil
	})
}

func TestACertificateIsRenewedBeforeItExpires(t *testing.T) {
	const short = 6 * time.Second
	a := newAuthority(t, short)
	cfg := a.config(t, "a.example.com")
	m, s := manager(t, cfg)
	a.serve(t, s)
	log := &journal{}
	m.Start(log.logger())
	eventually(t, "a certificate", log, func() bool { _, err := m.Certificate("a.example.com"); return err == nil })
	m.Stop()
	first, _ := m.Certificate("a.example.com")
	eventually(t, "the last third of its life", log, func() bool { return time.Until(first.Leaf.NotAfter) < short/3 })
	m.Start(log.logger())
	eventually(t, "the renewed one", log, func() bool {
		c, err := m.Certificate("a.example.com")
		return err == nil && c.Leaf.NotAfter.After(first.Leaf.NotAfter)
	})
	if o := m.Orders(); o.Obtained != 1 || o.Renewed == 0 {
		t.Errorf("orders: %+v", o)
	}
}

func TestAnAuthorityThatHasForgottenTheAccountGetsANewOne(t *testing.T) {
	a := newAuthority(t, life)
	cfg := a.config(t, "a.example.com")
	m, s := manager(t, cfg)
	wider := a.config(t, "a.example.com", "b.example.com")
	wider.Storage = cfg.Storage
	other, answers := manager(t, wider)
	a.serve(t, answers)
	log := &journal{}
	m.Start(log.logger())
	eventually(t, "a certificate", log, func() bool { _, err := s.Choices("a.example.com"); return err == nil })
	m.Stop()
	a.renew(life)
	other.Start(log.logger())
	eventually(t, "a certificate for another name", log, func() bool { _, err := other.Certificate("b.example.com"); return err == nil })
	if n := strings.Count(log.String(), "account registered"); n != 2 {
		t.Errorf("%d accounts were registered, want 2", n)
	}
}

func TestAStorageThatOthersMayChangeIsRefused(t *testing.T) {
	dir := t.TempDir()
	open, file := filepath.Join(dir, "open"), filepath.Join(dir, "file")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o770), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		open: "may be changed by others (mode 0770)", file: "is not a directory", file + "/below": "cannot be read: not a directory",
	} {
		if _, err := acme.New(acme.Config{Storage: path}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// Keys that were copied into a storage are held to the mode that those have which are made there.
func TestAStorageWhoseKeysOthersMayReadIsRefused(t *testing.T) {
	cfg := acme.Config{Names: []string{"a.example.com"}, Directory: "https://ca.example.net/dir", Storage: filepath.Join(t.TempDir(), "storage")}
	for _, key := range []string{
		"acme/ca.example.net-dir/accounts/default/account.key", "certificates/ca.example.net-dir/a.example.com/a.example.com.key",
	} {
		path := filepath.Join(cfg.Storage, key)
		for _, tt := range []struct {
			storage, file fs.FileMode
			want          string
		}{
			{0o755, 0o644, "has a key that others may touch (mode 0644): " + key}, {0o710, 0o640, "has a key that others may touch (mode 0640): " + key},
			{0o755, 0o600, ""}, {0o700, 0o644, ""},
		} {
			err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600), os.Chmod(path, tt.file), os.Chmod(cfg.Storage, tt.storage))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := acme.New(cfg); (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
				t.Errorf("a key of mode %04o in a storage of mode %04o: %v", tt.file, tt.storage, err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManagersAreComparedByWhatTheyOrder(t *testing.T) {
	base := acme.Config{Names: []string{"a.example.com"}, Directory: acme.LetsEncrypt, Email: "a@example.com", Storage: t.TempDir(), TLSALPN: true}
	m, _ := manager(t, base)
	same, _ := manager(t, base)
	if !m.Equal(same) || m.Equal(nil) || m.Equal(base) {
		t.Error("equality of the same, or with something else, is wrong")
	}
	for name, change := range map[string]func(*acme.Config){
		"names":     func(c *acme.Config) { c.Names = []string{"b.example.com"} },
		"authority": func(c *acme.Config) { c.Directory = acme.LetsEncryptStaging },
		"account":   func(c *acme.Config) { c.Email = "" },
		"binding":   func(c *acme.Config) { c.Binding.KeyID = "kid" },
		"key":       func(c *acme.Config) { c.Key = acme.RSA2048 },
		"storage":   func(c *acme.Config) { c.Storage = t.TempDir() },
		"challenge": func(c *acme.Config) { c.HTTP = true },
	} {
		cfg := base
		change(&cfg)
		if other, _ := manager(t, cfg); m.Equal(other) || other.Equal(m) {
			t.Errorf("another %s is equal", name)
		}
	}
}

// Until there is a certificate, who asks for it is told how the order stands.
func TestATrialThatFailsIsDescribed(t *testing.T) {
	a := newAuthority(t, life)
	a.vacate(t) // nobody answers validations
	m, s := manager(t, a.config(t, "a.example.com", "b.example.com"))
	told := func() string {
		_, err := s.Choices("a.example.com")
		if !errors.Is(err, certs.ErrNone) {
			t.Fatalf("it is no ErrNone: %v", err)
		}
		return err.Error()
	}
	if text := told(); !strings.Contains(text, "the process that orders it says more") {
		t.Errorf("before the start: %s", text)
	}
	log := &journal{}
	began := time.Now().Add(-time.Second).Truncate(time.Second)
	m.Start(log.logger())
	eventually(t, "two failures", log, func() bool { o := m.Orders(); return o.Failed == 2 })
	eventually(t, "the time of the next try", log, func() bool { return strings.Contains(told(), "again at ") })
	_, err := m.Certificate("a.example.com")
	p, ok := errors.AsType[*certs.Pending](err)
	if !ok || p.Since.Before(began) || p.Next.Sub(p.Since) < time.Minute || !strings.HasPrefix(p.Last, "unauthorized: Failed to connect") {
		t.Errorf("after a failure: %+v, %v", p, err)
	}
	o := m.Orders()
	if o.Missing != 2 || o.Obtained != 0 || o.LastFailure.Before(began) || !o.LastSuccess.IsZero() {
		t.Errorf("orders: %+v", o)
	}
	m.Stop()
	if again := m.Orders(); again != o {
		t.Errorf("after the stop: %+v, before it %+v", again, o)
	}
}

// What keeps certmagic from ordering, or from keeping what was issued, is no event of it and told nevertheless.
func TestAStorageThatFailsIsToldOfThoseThatWait(t *testing.T) {
	a := newAuthority(t, life)
	t.Run("before anything is ordered", func(t *testing.T) {
		cfg := a.config(t, "a.example.com")
		m, _ := manager(t, cfg)
		if err := os.WriteFile(cfg.Storage, nil, 0o600); err != nil { // in the place of the directory
			t.Fatal(err)
		}
		storageFails(t, m, "not a directory")
	})
	t.Run("when the certificate is there", func(t *testing.T) {
		cfg := a.config(t, "a.example.com")
		m, s := manager(t, cfg)
		a.serve(t, s)
		if err := errors.Join(os.MkdirAll(cfg.Storage, 0o700), os.Symlink("nowhere", filepath.Join(cfg.Storage, "certificates"))); err != nil {
			t.Fatal(err)
		}
		storageFails(t, m, "saving assets")
	})
}

// A storage that was away when ordering began is used once it is there, without a restart.
func TestAStorageThatComesBackIsOrderedFor(t *testing.T) {
	a := newAuthority(t, life)
	cfg := a.config(t, "a.example.com")
	m, s := manager(t, cfg)
	a.serve(t, s)
	if err := os.WriteFile(cfg.Storage, nil, 0o600); err != nil { // in the place of the directory
		t.Fatal(err)
	}
	m.RestFor(20 * time.Millisecond)
	log := &journal{}
	m.Start(log.logger())
	defer m.Stop()
	eventually(t, "a second failure", log, func() bool { return m.Orders().Failed >= 2 })
	if err := os.Remove(cfg.Storage); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the certificate", log, func() bool { _, err := m.Certificate("a.example.com"); return err == nil })
	if o := m.Orders(); o.Obtained != 1 || o.Missing != 0 {
		t.Errorf("orders: %+v", o)
	}
}

// So is one that failed when what it holds was to be taken over: without that nobody would renew it.
func TestAStorageThatComesBackIsRenewedFrom(t *testing.T) {
	a := newAuthority(t, time.Minute) // which is to be renewed right away
	cfg := a.config(t, "a.example.com")
	m, s := manager(t, cfg)
	a.serve(t, s)
	log := &journal{}
	m.Start(log.logger())
	eventually(t, "the certificate", log, func() bool { _, err := m.Certificate("a.example.com"); return err == nil })
	m.Stop()
	metas, err := filepath.Glob(filepath.Join(cfg.Storage, "certificates", "*", "*", "*.json"))
	if err != nil || len(metas) != 1 {
		t.Fatal(metas, err)
	}
	away := filepath.Join(t.TempDir(), "meta")
	// A link to itself cannot be read, and is replaced in one step: a moment without a file would be one in which there is
	// no certificate, for which certmagic orders one, finds that there is, and looks no more at its age for ten minutes.
	if err := errors.Join(os.Rename(metas[0], away), os.Symlink(metas[0], metas[0])); err != nil {
		t.Fatal(err)
	}

	next, _ := manager(t, cfg)
	next.RestFor(20 * time.Millisecond)
	log = &journal{}
	next.Start(log.logger())
	defer next.Stop()
	eventually(t, "the failure", log, func() bool { return strings.Contains(log.String(), "caching certificate") })
	if _, err := next.Certificate("a.example.com"); err != nil || next.Orders().Missing != 0 {
		t.Errorf("what was read before is not shown: %v", err)
	}
	if err := os.Rename(away, metas[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the renewal", log, func() bool { return next.Orders().Renewed > 0 })
}

// What a stop cuts short is no error, and told to who debugs; what had failed before it is one as ever.
func TestAStopIsNoError(t *testing.T) {
	a := newAuthority(t, life)
	asked, over := make(chan struct{}), make(chan struct{})
	var once sync.Once
	silent := http.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(asked) })
		<-over
	}))
	a.handler.Store(&silent)
	t.Cleanup(func() { close(over) })
	m, _ := manager(t, a.config(t, "a.example.com", "b.example.com"))
	log := &journal{}
	m.Start(log.logger())
	<-asked
	m.Stop()
	eventually(t, "the ends of both orders", log, func() bool { return strings.Count(log.String(), `msg="job failed"`) == 2 })
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") {
			t.Errorf("the log says %s", line)
		}
	}
	if o := m.Orders(); o.Failed != 0 {
		t.Errorf("orders: %+v", o)
	}

	broken := http.Handler(http.NotFoundHandler())
	a.handler.Store(&broken)
	m, _ = manager(t, a.config(t, "a.example.com"))
	log = &journal{}
	m.Start(log.logger())
	eventually(t, "an error", log, func() bool { return strings.Contains(log.String(), `level=ERROR msg="will retry"`) })
	m.Stop()
}

// storageFails starts m, whose order is to fail for want of a storage.
func storageFails(t *testing.T, m *acme.Manager, why string) {
	t.Helper()
	log := &journal{}
	m.Start(log.logger())
	told := func() string { _, err := m.Certificate("a.example.com"); return err.Error() }
	eventually(t, "the failure", log, func() bool { return strings.Contains(told(), why) })
	if o := m.Orders(); o.Failed != 1 || o.LastFailure.IsZero() || o.Missing != 1 {
		t.Errorf("orders: %+v; %s", o, told())
	}
	m.Stop()
}
