package acme

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// issuer is what certmagic asks for certificates.
type issuer struct {
	m      *Manager
	client acmez.Client
	web    *http.Client
	log    *slog.Logger
	turn   chan struct{}   // a token for each order under way
	ctx    context.Context // done when the Manager is stopped
}

var (
	_ certmagic.Issuer            = (*issuer)(nil)
	_ certmagic.RenewalInfoGetter = (*issuer)(nil)
)

// maxOrders bounds the orders under way: whoever names a thousand hosts should not be taken for an attacker.
const maxOrders = 8

// newIssuer makes an issuer that is asked for something until ctx is done.
func newIssuer(ctx context.Context, m *Manager, log *slog.Logger) *issuer {
	i := &issuer{m: m, web: httpClient(m.cfg.Roots), log: log, turn: make(chan struct{}, maxOrders), ctx: ctx}
	i.client = acmez.Client{
		Client: &acme.Client{
			Directory: m.cfg.Directory, HTTPClient: i.web, UserAgent: "switchyard",
			Logger: slog.New(quiet{log.Handler()}),
		},
		ChallengeSolvers: map[string]acmez.Solver{},
	}
	if m.cfg.TLSALPN {
		i.client.ChallengeSolvers[acme.ChallengeTypeTLSALPN01] = alpnSolver{m}
	}
	if m.cfg.HTTP {
		i.client.ChallengeSolvers[acme.ChallengeTypeHTTP01] = httpSolver{m.cfg.HTTPBind}
	}
	return i
}

// requestTimeout bounds one request to the authority.
const requestTimeout = 30 * time.Second

func httpClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: requestTimeout}).DialContext,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: requestTimeout, IdleConnTimeout: requestTimeout,
		},
	}
}

// IssuerKey implements [certmagic.Issuer].
func (i *issuer) IssuerKey() string { return i.m.issuer }

// Issue implements [certmagic.Issuer]. Before it orders it waits for the rest of the pause that a failure has left, of whichever
// Manager that was.
func (i *issuer) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if len(csr.DNSNames) == 0 {
		return nil, errors.New("acme: an order without a name")
	}
	name := csr.DNSNames[0]
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.ctx, cancel)()
	if err := i.rest(ctx, name); err != nil {
		return nil, &orderError{name: name, err: err}
	}
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return nil, &orderError{name: name, err: ctx.Err()}
	}
	issued, err := i.issue(ctx, csr)
	_, answered := errors.AsType[acme.Problem](err)
	switch _, early := errors.AsType[*accountError](err); {
	case early: // nothing was ordered, and what mends it is a change, as a rule
		return nil, &orderError{name: name, err: err}
	case err != nil && !answered && ctx.Err() != nil:
		failures.cutShort(i.m.host(name))
		return nil, &orderError{name: name, err: err}
	}
	// What was issued is there once it is stored, which is an event. Until then it is as good as failed: what cannot be stored is
	// ordered again.
	next := failures.failed(i.m.host(name), short(cmp.Or(err, errNotStored)))
	if err != nil {
		return nil, &orderError{name, err, next}
	}
	return issued, nil
}

var errNotStored = errors.New("the certificate was issued, and could not be stored")

// rest waits until a name may be ordered for.
func (i *issuer) rest(ctx context.Context, name string) error {
	f := failures.of(i.m.host(name))
	d := time.Until(f.next)
	if d <= 0 {
		return ctx.Err()
	}
	i.m.ledger.rests(name, &f)
	i.log.Info("orders for this host have failed: the next one waits", "identifier", name, "failed", f.count, "until", f.next, "error", f.text)
	due := time.NewTimer(d)
	defer due.Stop()
	select {
	case <-due.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (i *issuer) issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	chains, err := i.order(ctx, csr)
	if problem, ok := errors.AsType[acme.Problem](err); ok && problem.Type == acme.ProblemTypeAccountDoesNotExist {
		i.forgetAccount(ctx) // a new authority at the old address, as private ones sometimes are
		chains, err = i.order(ctx, csr)
	}
	if err != nil {
		return nil, err
	}
	if len(chains) == 0 {
		return nil, errors.New("acme: the authority sent no certificate")
	}
	return &certmagic.IssuedCertificate{Certificate: chains[0].ChainPEM, Metadata: chains[0]}, nil
}

// order returns the chains that the authority offers.
func (i *issuer) order(ctx context.Context, csr *x509.CertificateRequest) ([]acme.Certificate, error) {
	account, err := i.account(ctx)
	if err != nil {
		return nil, &accountError{err}
	}
	order, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return nil, err
	}
	return i.client.ObtainCertificate(ctx, order)
}

// accountError says that there is no account to order for.
type accountError struct{ err error }

func (e *accountError) Error() string { return e.err.Error() }
func (e *accountError) Unwrap() error { return e.err }

// GetRenewalInfo implements [certmagic.RenewalInfoGetter]: the authority may say when to renew (RFC 9773). certmagic asks for one
// certificate after the other, and is not stopped before it has had its answers.
func (i *issuer) GetRenewalInfo(ctx context.Context, cert certmagic.Certificate) (acme.RenewalInfo, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.ctx, cancel)()
	return i.client.GetRenewalInfo(ctx, cert.Leaf)
}
