package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// account returns the account that orders are made for: the one in the storage, or a new one. Processes that share a
// storage share the account.
func (i *issuer) account(ctx context.Context) (acme.Account, error) {
	if a, err := i.storedAccount(ctx); !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	lock := "acme_account_" + i.m.accountKey("")
	if err := i.m.storage.Lock(ctx, lock); err != nil {
		return acme.Account{}, err
	}
	defer func() { _ = i.m.storage.Unlock(context.WithoutCancel(ctx), lock) }()
	if a, err := i.storedAccount(ctx); !errors.Is(err, fs.ErrNotExist) {
		return a, err // made meanwhile
	}
	return i.newAccount(ctx)
}

// accountKey is where in the storage a part of the account is. What it is bound to is part of who it is: another key
// identifier means another account.
func (m *Manager) accountKey(part string) string {
	user := m.cfg.Email
	if user == "" {
		user = "default"
	}
	if id := m.cfg.Binding.KeyID; id != "" {
		sum := sha256.Sum256([]byte(id)) // an identifier may have bytes that a path has not, and differ in case alone
		user += "-" + hex.EncodeToString(sum[:8])
	}
	return path.Join("acme", m.issuer, "accounts", certmagic.StorageKeys.Safe(user), part)
}

func (i *issuer) storedAccount(ctx context.Context) (a acme.Account, err error) {
	text, err := i.m.storage.Load(ctx, i.m.accountKey("account.json"))
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("account in the storage: %w", err)
	}
	key, err := i.m.storage.Load(ctx, i.m.accountKey("account.key"))
	if err != nil {
		return a, err
	}
	defer clear(key)
	if a.PrivateKey, err = certmagic.PEMDecodePrivateKey(key); err != nil {
		return a, errors.New("account in the storage: its key cannot be read") // without what was tried to read
	}
	return a, nil
}

// newAccount registers an account. Its key is stored first: without it the account would be lost.
func (i *issuer) newAccount(ctx context.Context) (acme.Account, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, err
	}
	if err := i.storeKey(ctx, key); err != nil {
		return acme.Account{}, err
	}
	a := acme.Account{PrivateKey: key, TermsOfServiceAgreed: true}
	if i.m.cfg.Email != "" {
		a.Contact = []string{"mailto:" + i.m.cfg.Email}
	}
	if err := i.bind(ctx, &a); err != nil {
		return acme.Account{}, fmt.Errorf("new account: external account binding: %w", err)
	}
	if a, err = i.client.NewAccount(ctx, a); err != nil {
		problem, ok := errors.AsType[acme.Problem](err)
		if ok && problem.Type == acme.ProblemTypeExternalAccountRequired && i.m.cfg.Binding == (Binding{}) {
			return a, fmt.Errorf("new account: the authority wants to know whose it is, by external account binding (eab): %w", err)
		}
		return a, fmt.Errorf("new account: %w", err)
	}
	a.ExternalAccountBinding = nil // it has done its work
	text, err := json.Marshal(a)
	if err != nil {
		return a, err
	}
	i.log.Info("account registered", "contact", a.Contact, "location", a.Location)
	return a, i.m.storage.Store(ctx, i.m.accountKey("account.json"), text)
}

func (i *issuer) storeKey(ctx context.Context, key crypto.PrivateKey) error {
	text, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		return err
	}
	defer clear(text)
	return i.m.storage.Store(ctx, i.m.accountKey("account.key"), text)
}

// forgetAccount lets the next order register an account: the authority does not know the one in the storage any more.
func (i *issuer) forgetAccount(ctx context.Context) {
	if err := i.m.storage.Delete(ctx, i.m.accountKey("account.json")); err != nil {
		i.log.Error("account not removed from the storage", "error", err)
	}
}
