package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// Directories of Let's Encrypt, the authority that is asked where no other one is named.
const (
	LetsEncrypt        = certmagic.LetsEncryptProductionCA
	LetsEncryptStaging = certmagic.LetsEncryptStagingCA
)

// Config says what to order, from whom and for whom.
type Config struct {
	Names     []string       // in lower case, without wildcards; each gets a certificate of its own
	Directory string         // URL of the authority's directory
	Roots     *x509.CertPool // to trust when the authority is spoken to; nil: the system's
	Email     string         // of the account; "": none is told
	Binding   Binding        // of the account, when it is registered
	Key       KeyType        // of the certificates that are ordered from now on
	Storage   string         // absolute path of a directory; made if it is not there
	TLSALPN   bool           // whether tls-alpn-01 may be used
	HTTP      bool           // whether http-01 may be used
	HTTPBind  netip.AddrPort // where http-01 is answered while it is under way; the zero Addr means both families
}

// Manager orders certificates and keeps them renewed. It implements [certs.ACME].
type Manager struct {
	cfg     Config
	storage *certmagic.FileStorage
	issuer  string                                      // key of the authority in the storage
	stored  atomic.Pointer[map[string]*tls.Certificate] // what was in the storage at the beginning, and at the last start
	now     atomic.Pointer[certmagic.Cache]             // of the last start; nil before the first one
	ledger  ledger

	mu   sync.Mutex // of Start and Stop
	stop func()     // nil: not started
	log  *slog.Logger
}

var _ certs.ACME = (*Manager)(nil)

// New returns a Manager that is not started. It reads the storage and writes nothing; the error is about the directory of
// the storage, and says what is wrong and not which it is.
func New(cfg Config) (*Manager, error) {
	if err := checkStorage(cfg.Storage); err != nil {
		return nil, err
	}
	m := &Manager{
		cfg:     cfg,
		storage: &certmagic.FileStorage{Path: cfg.Storage},
		issuer:  (&certmagic.ACMEIssuer{CA: cfg.Directory}).IssuerKey(),
		ledger:  ledger{pause: retryAfter},
	}
	m.ledger.stored = func(name string) { failures.succeeded(m.host(name)) }
	if err := m.checkKeys(); err != nil {
		return nil, err
	}
	m.loadAll()
	return m, nil
}

// checkStorage refuses a directory that others could put keys into.
func checkStorage(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		return fmt.Errorf("cannot be read: %w", err)
	case !info.IsDir():
		return errors.New("is not a directory")
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("may be changed by others (mode %04o)", info.Mode().Perm())
	}
	return nil
}

// checkKeys refuses keys that others may touch: they are made with mode 0600, and copied with any. In a directory that others may
// not enter, none of them can.
func (m *Manager) checkKeys() error {
	if info, err := os.Stat(m.cfg.Storage); err != nil || info.Mode().Perm()&0o011 == 0 {
		return nil
	}
	keys := []string{m.accountKey("account.key")}
	for _, name := range m.cfg.Names {
		keys = append(keys, certmagic.StorageKeys.SitePrivateKey(m.issuer, name))
	}
	for _, key := range keys {
		info, err := os.Stat(m.storage.Filename(key))
		if err == nil && info.Mode().Perm()&0o066 != 0 {
			return fmt.Errorf("has a key that others may touch (mode %04o): %s", info.Mode().Perm(), key)
		}
	}
	return nil
}

// loadAll reads what is in the storage. certmagic does so too, a moment after it was started: too late for handshakes.
func (m *Manager) loadAll() {
	all := map[string]*tls.Certificate{}
	for _, name := range m.cfg.Names {
		if cert := m.load(name); cert != nil {
			all[name] = cert
		}
	}
	m.stored.Store(&all)
}

// load reads the certificate for a name from the storage; nil if there is none that can be used.
func (m *Manager) load(name string) *tls.Certificate {
	cert, err := m.storage.Load(context.Background(), certmagic.StorageKeys.SiteCert(m.issuer, name))
	if err != nil {
		return nil
	}
	key, err := m.storage.Load(context.Background(), certmagic.StorageKeys.SitePrivateKey(m.issuer, name))
	if err != nil {
		return nil
	}
	defer clear(key)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil // it is ordered again
	}
	return &pair
}

// Names implements [certs.ACME].
func (m *Manager) Names() []string { return m.cfg.Names }

// Storage implements [certs.ACME].
func (m *Manager) Storage() string { return m.cfg.Storage }

// Equal implements [certs.ACME].
func (m *Manager) Equal(other any) bool {
	o, ok := other.(*Manager)
	if !ok || m == nil || o == nil {
		return ok && m == o
	}
	a, b := m.cfg, o.cfg
	return slices.Equal(a.Names, b.Names) && a.Directory == b.Directory && a.Email == b.Email && a.Storage == b.Storage &&
		a.Binding == b.Binding && a.Key == b.Key &&
		a.TLSALPN == b.TLSALPN && a.HTTP == b.HTTP && a.HTTPBind == b.HTTPBind &&
		(a.Roots == nil) == (b.Roots == nil) && (a.Roots == nil || a.Roots.Equal(b.Roots))
}

// Certificate implements [certs.ACME]: the latest that is there, even if it has expired.
func (m *Manager) Certificate(name string) (*tls.Certificate, error) {
	best := (*m.stored.Load())[name]
	if cache := m.now.Load(); cache != nil {
		for _, c := range cache.AllMatchingCertificates(name) {
			if best == nil || c.Leaf.NotAfter.After(best.Leaf.NotAfter) {
				best = &c.Certificate
			}
		}
	}
	if best == nil {
		return nil, m.ledger.pending(name)
	}
	return best, nil
}

// Orders implements [certs.ACME].
func (m *Manager) Orders() certs.Orders {
	o := m.ledger.stats()
	for _, name := range m.cfg.Names {
		if _, err := m.Certificate(name); err != nil {
			o.Missing++
		}
	}
	return o
}

// Start implements [certs.ACME].
func (m *Manager) Start(log *slog.Logger) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stop == nil {
		m.log = log
		m.start(log)
		started.add(m)
	}
}

// start begins to order. m.mu is held.
func (m *Manager) start(log *slog.Logger) {
	ctx, cancel := context.WithCancel(context.Background())
	log = slog.New(cutShort{log.Handler(), ctx}).With("acme", m.issuer)
	zlog := forwardTo(log, m.ledger.logged)
	orders := newIssuer(ctx, m, log)
	var magic *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		Logger:           zlog,
	})
	magic = certmagic.New(cache, certmagic.Config{
		Storage: m.storage, Issuers: []certmagic.Issuer{orders}, Logger: zlog,
		KeySource: m.cfg.Key.generator(), OnEvent: m.ledger.event,
		// A staple would be asked for over plain HTTP while a certificate is loaded, from responders that are being turned off.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	m.loadAll()
	for _, name := range m.cfg.Names {
		if (*m.stored.Load())[name] == nil {
			m.ledger.begin(name, failures.of(m.host(name)))
		} else {
			m.ledger.has(name)
		}
	}
	m.now.Store(cache)
	var trying sync.WaitGroup
	trying.Go(func() { m.tryAgain(ctx, magic, log) })
	m.stop = func() {
		cancel()
		trying.Wait()
		cache.Stop()
		orders.web.CloseIdleConnections()
	}
	m.manage(ctx, magic, m.cfg.Names, log)
}

// manage has names ordered, and renewed from then on.
func (m *Manager) manage(ctx context.Context, magic *certmagic.Config, names []string, log *slog.Logger) {
	if err := magic.ManageAsync(ctx, names); err != nil {
		log.Error("certificates are not ordered", "error", err)
	}
}

// tryAgain takes up what certmagic has given up, until ctx is done: a storage that was full or away when ordering began is there
// again some time, and nobody should have to think of it then.
func (m *Manager) tryAgain(ctx context.Context, magic *certmagic.Config, log *slog.Logger) {
	tick := time.NewTicker(m.ledger.pause / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			names := slices.DeleteFunc(m.ledger.takeStopped(now), func(name string) bool {
				return len(m.now.Load().AllMatchingCertificates(name)) > 0 // certmagic has it, and renews it
			})
			if len(names) > 0 {
				log.Info("ordering again what had come to nothing", "hosts", len(names))
				m.manage(ctx, magic, names, log)
			}
		}
	}
}

// Stop implements [certs.ACME]. Certificates that are there remain so.
func (m *Manager) Stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stop != nil {
		started.remove(m)
		m.stop()
		m.stop = nil
	}
}

// host is a name as failures of its orders are remembered.
func (m *Manager) host(name string) host {
	return host{m.cfg.Directory + " " + m.cfg.Storage + " " + m.accountKey(""), name}
}

// started are the Managers of the process that order.
var started = managers{all: map[*Manager]bool{}}

type managers struct {
	mu  sync.Mutex
	all map[*Manager]bool
}

func (s *managers) add(m *Manager) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[m] = true
}

func (s *managers) remove(m *Manager) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, m)
}

// list is a copy.
func (s *managers) list() []*Manager {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.all))
}

// TryAgain has the Managers that are started order at once what rests since it has failed, for whoever has mended the cause. It
// returns for how many hosts, and how many go on resting, since that was asked for three times within the last hour.
func TryAgain() (hosts, resting int) {
	for _, m := range started.list() {
		h, r := m.tryAtOnce()
		hosts, resting = hosts+h, resting+r
	}
	return hosts, resting
}

// tryAtOnce begins anew: certmagic cannot be told not to wait any longer.
func (m *Manager) tryAtOnce() (hosts, resting int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stop == nil {
		return 0, 0
	}
	for _, name := range m.cfg.Names {
		switch ended, refused := failures.hasten(m.host(name)); {
		case ended:
			hosts++
		case refused:
			resting++
		}
	}
	if hosts > 0 {
		m.log.Info("ordering at once what has failed, as was asked for", "acme", m.issuer, "hosts", hosts)
		m.stop()
		m.start(m.log)
	}
	return hosts, resting
}

// orders reports whether a certificate is ordered for a name, spelt as in a hello.
func (m *Manager) orders(name string) (normal string, ok bool) {
	normal = strings.ToLower(strings.TrimSuffix(name, "."))
	return normal, slices.Contains(m.cfg.Names, normal)
}
