package acme

import (
	"bytes"
	"context"
	"encoding/base64"

	"github.com/mholt/acmez/v3/acme"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// Binding ties a new account to one that the authority knows by other means than ACME, such as a contract (RFC 8555
// §7.3.4). The zero Binding is none.
type Binding struct {
	KeyID string // as the authority gave it: ASCII
	File  string // absolute path of the HMAC key in base64; nobody but root and the user of the process may touch it
}

// Check reads the key and forgets it. The error and the warning are about the file, and never quote it.
func (b Binding) Check() (warning *certs.Error, err error) {
	_, warning, err = b.read()
	return warning, err
}

// maxBinding is the largest file of a key that is read. Authorities give 32 to 64 bytes.
const maxBinding = 64 << 10

// read returns the key in base64url without padding, as acmez wants it. Authorities give it in that or in plain base64.
func (b Binding) read() (key string, warning *certs.Error, err error) {
	f, err := certs.ReadFile(b.File, maxBinding, true)
	if err != nil {
		return "", nil, err
	}
	defer clear(f.Data)
	text := bytes.TrimRight(bytes.TrimSpace(f.Data), "=")
	for i, c := range text {
		switch c {
		case '+':
			text[i] = '-'
		case '/':
			text[i] = '_'
		}
	}
	raw, err := base64.RawURLEncoding.AppendDecode(nil, text)
	defer clear(raw)
	if err != nil || len(raw) == 0 || bytes.ContainsAny(text, "\r\n") { // which package base64 passes over
		return "", nil, &certs.Error{File: b.File, Why: "is no HMAC key in base64", Hint: "put in it what the authority gave you, and nothing else"}
	}
	return string(text), f.Warning, nil // a string that acmez asks for: it is left to the collector
}

// bind adds the binding to an account that is to be registered. The file is read now, so that a new key needs no reload.
func (i *issuer) bind(ctx context.Context, a *acme.Account) error {
	b := i.m.cfg.Binding
	if b == (Binding{}) {
		return nil
	}
	key, _, err := b.read()
	if err != nil {
		return err
	}
	return a.SetExternalAccountBinding(ctx, i.client.Client, acme.EAB{KeyID: b.KeyID, MACKey: key})
}
