package acme

import (
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

// Issue implements [certmagic.Issuer].
func (i *issuer) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	issued, err := i.issue(ctx, csr)
	if err != nil && len(csr.DNSNames) > 0 {
		err = &orderError{csr.DNSNames[0], err}
	}
	return issued, err
}

func (i *issuer) issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
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
		return nil, err
	}
	order, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return nil, err
	}
	return i.client.ObtainCertificate(ctx, order)
}

// GetRenewalInfo implements [certmagic.RenewalInfoGetter]: the authority may say when to renew (RFC 9773). certmagic asks for one
// certificate after the other, and is not stopped before it has had its answers.
func (i *issuer) GetRenewalInfo(ctx context.Context, cert certmagic.Certificate) (acme.RenewalInfo, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.ctx, cancel)()
	return i.client.GetRenewalInfo(ctx, cert.Leaf)
}
