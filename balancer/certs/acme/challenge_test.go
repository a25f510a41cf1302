package acme

import (
	"crypto/tls"
	"errors"
	"testing"

	"github.com/mholt/acmez/v3/acme"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

func TestAnyProcessWithTheStorageAnswersTLSALPN01(t *testing.T) {
	cfg := Config{Names: []string{"a.example.com"}, Directory: LetsEncrypt, Storage: t.TempDir(), TLSALPN: true}
	one, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	two, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	hello := &tls.ClientHelloInfo{ServerName: "A.example.com"}
	c := acme.Challenge{Type: acme.ChallengeTypeTLSALPN01, Token: "token", KeyAuthorization: "token.thumbprint", Identifier: acme.Identifier{Type: "dns", Value: "a.example.com"}}
	if err := (alpnSolver{one}).Present(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	cert, err := two.Challenge(hello)
	if err != nil || len(cert.Certificate) != 1 {
		t.Fatalf("Challenge: %v", err)
	}
	if _, err := two.Challenge(&tls.ClientHelloInfo{ServerName: "../a.example.com"}); !errors.Is(err, certs.ErrNone) {
		t.Errorf("a name that is not ordered: %v", err)
	}
	if err := (alpnSolver{one}).CleanUp(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Challenge(hello); !errors.Is(err, certs.ErrNone) {
		t.Errorf("after the validation: %v", err)
	}
}
