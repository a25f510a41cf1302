package acme

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io/fs"
	"path"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// Challenge implements [certs.ACME]. The challenge is in the storage, so that it does not matter which of several processes
// the authority connects to.
func (m *Manager) Challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name, ok := m.orders(hello.ServerName)
	if !ok {
		return nil, certs.ErrNone
	}
	text, err := m.storage.Load(context.Background(), m.challengeKey(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, certs.ErrNone
	} else if err != nil {
		return nil, err
	}
	var c acme.Challenge
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	return acmez.TLSALPN01ChallengeCert(c)
}

// challengeKey is where in the storage the challenge for a name is.
func (m *Manager) challengeKey(name string) string {
	return path.Join("challenges", m.issuer, certmagic.StorageKeys.Safe(name)+".json")
}

// alpnSolver has tls-alpn-01 answered by the listeners, which ask the Manager.
type alpnSolver struct{ m *Manager }

// Present implements [acmez.Solver].
func (s alpnSolver) Present(ctx context.Context, c acme.Challenge) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.m.storage.Store(ctx, s.m.challengeKey(c.Identifier.Value), text)
}

// CleanUp implements [acmez.Solver].
func (s alpnSolver) CleanUp(ctx context.Context, c acme.Challenge) error {
	return s.m.storage.Delete(ctx, s.m.challengeKey(c.Identifier.Value))
}
