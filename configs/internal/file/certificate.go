package file

import "github.com/seed-23b4a313/switchyard/balancer/certs/acme"

// Certificate is a certificate and its private key.
type Certificate struct {
	Mapping
	// PEM file with the certificate, then its chain. A relative path is relative to this file.
	Cert Path `yaml:"cert" required:"true" good:"certs/www.crt" bad:"missing.crt"`
	// PEM file with the private key. Nobody but root or the user of the process may read it: mode 0600 or 0400. That it is
	// readable by others is a warning if nobody may write it (mode 0444), or on a read-only file system. A relative path is
	// relative to this file. Absent: the key is in the file of the certificate.
	Key Path `yaml:"key" good:"certs/www.key" bad:"missing.key"`
	// Whether it is also shown to clients of the route that ask for a name that no certificate is for, or for none. Which
	// clients that are, is up to the route: `hosts: ["*"]` takes those with any other name, `no_sni: true` those without one.
	Default Flag `yaml:"default" default:"false" good:"true" bad:"always"`
	// Whether a certificate that has expired is only a warning. Otherwise a file that has one is refused.
	AllowExpired Flag `yaml:"allow_expired" default:"false" good:"true" bad:"never"`
}

// ACME is how certificates are ordered (RFC 8555). Each host has one of its own.
type ACME struct {
	Mapping
	// Whether you agree to the terms of service of the authority. Without it there is no account.
	Agree Flag `yaml:"agree" required:"true" good:"true" bad:"false"`
	// Directory (made with mode 0700) in which certificates, keys and the account are kept. Processes that share it share
	// them. A relative path is relative to this file.
	Storage Path `yaml:"storage" required:"true" good:"/var/lib/switchyard/acme" bad:"[acme]"`
	// Address that the authority may write to. Absent: none.
	Email Text `yaml:"email" good:"hostmaster@example.com" bad:"hostmaster"`
	// URL of the authority's directory. Absent: Let's Encrypt.
	DirectoryURL Text `yaml:"directory_url" good:"https://acme.example.net/directory" bad:"\"http://acme.example.net/directory\""`
	// Whether to order from the staging authority of Let's Encrypt, whose certificates nobody trusts: to try it out.
	Staging Flag `yaml:"staging" default:"false" good:"true" bad:"soon"`
	// What an authority wants to know an account by that is no public one (external account binding). It gives both to its
	// customers. Absent: the account is not bound to anything.
	EAB *EAB `yaml:"eab" good:"{kid: kid-1, hmac_key_file: certs/eab.key}" bad:"kid-1"`
	// Keys of the certificates that are ordered from now on, each a new one: ECDSA on P-256 or P-384, or RSA. An RSA signature
	// costs twenty times one on P-256, so RSA is for clients that know nothing else.
	KeyType Choice[acme.KeyType, KeyTypes] `yaml:"key_type" default:"p256" good:"rsa2048" bad:"rsa1024"`
	// PEM file with the authorities to trust when the directory is asked. It is read with each reload. A relative path is
	// relative to this file. Absent: the system's.
	CA Path `yaml:"ca" good:"certs/www.crt" bad:"missing.pem"`
	// How to prove that a host is yours: `tls-alpn-01` is answered by the listeners, which the authority must reach at port
	// 443 of the host; `http-01` at `http_bind`, which it must reach at port 80.
	Challenges []Choice[Challenge, Challenges] `yaml:"challenges" min:"1" max:"2" default:"[tls-alpn-01]" good:"[tls-alpn-01, http-01]" bad:"[dns-01]"`
	// Address to answer `http-01` at, as `bind` of a listener. It is listened on only while an authority asks.
	HTTPBind Bind `yaml:"http_bind" default:"\":80\"" good:"\"127.0.0.1:8080\"" bad:"http"`
}

// EAB ties a new account to one that the authority knows by other means (RFC 8555 §7.3.4). An account is registered once
// for each email and key identifier, and found in the storage from then on.
type EAB struct {
	Mapping
	// Key identifier, as the authority gave it.
	Kid Text `yaml:"kid" required:"true" good:"kid-1" bad:"\"kid 1\""`
	// File with the HMAC key in base64, as the authority gave it. It is read when an account is registered. Who may read it is as
	// for private keys: mode 0600 or 0400. A relative path is relative to this file.
	HMACKeyFile Path `yaml:"hmac_key_file" required:"true" good:"certs/eab.key" bad:"missing.key"`
}

// KeyTypes are the spellings of [acme.KeyType].
type KeyTypes struct{}

// Options implements the choices of a [Choice].
func (KeyTypes) Options() []Option[acme.KeyType] {
	return []Option[acme.KeyType]{{"p256", acme.P256}, {"p384", acme.P384}, {"rsa2048", acme.RSA2048}, {"rsa4096", acme.RSA4096}}
}

// Hint knows what others call the same, and why some are not among them.
func (KeyTypes) Hint(word string) string {
	theirs := map[string]string{
		"ec256": "p256", "ecdsa": "p256", "P-256": "p256", "prime256v1": "p256", "secp256r1": "p256", "ec384": "p384", "P-384": "p384",
		"secp384r1": "p384", "rsa": "rsa2048", "2048": "rsa2048", "4096": "rsa4096",
	}
	switch ours := theirs[word]; {
	case ours != "":
		return didYouMean(ours)
	case word == "ed25519":
		return "authorities of the web sign no such keys: use p256"
	}
	return ""
}

// Challenge is a way to prove that a host is ours.
type Challenge uint8

// The challenges.
const (
	TLSALPN01 Challenge = iota
	HTTP01
)

// Challenges are the spellings of [Challenge].
type Challenges struct{}

// Options implements the choices of a [Choice].
func (Challenges) Options() []Option[Challenge] {
	return []Option[Challenge]{{"tls-alpn-01", TLSALPN01}, {"http-01", HTTP01}}
}

// Hint explains why others are not among them.
func (Challenges) Hint(word string) string {
	if word == "dns-01" {
		return "records of a zone are not changed by this program: use tls-alpn-01 or http-01"
	}
	return ""
}
