package file

import (
	"crypto/tls"
	"slices"
	"strings"
)

// Terminate is how TLS is spoken with clients whose connection ends here.
type Terminate struct {
	Mapping
	// Certificates to choose from by server name: one for the very name before one for its wildcard, ECDSA before RSA where a
	// client can use both. A name without one is refused with an alert. Their files are read again when they change.
	// `certificates`, `directories` and `acme` may stand side by side, and each host of the route must have a certificate.
	Certificates []Certificate `yaml:"certificates" min:"1" max:"10000" good:"[{cert: certs/www.crt, key: certs/www.key}]" bad:"[]"`
	// Directories of certificates, which are read when they are asked for, so that there may be very many. A file is found by
	// its name: for www.example.com `www.example.com.pem` with certificate, chain and key, or `www.example.com.crt` and
	// `www.example.com.key`; with `.pem.ecdsa` and `.pem.rsa` two kinds of keys lie side by side. A wildcard is in
	// `_.example.com.pem` or `*.example.com.pem`, or in `example.com.pem` if that certificate has it. Relative paths are
	// relative to this file.
	Directories []Path `yaml:"directories" min:"1" max:"16" good:"[certs]" bad:"[missing]"`
	// Certificates that are ordered, and renewed, for the hosts of the route that have none otherwise. Hosts with `*` and
	// regular expressions cannot be ordered for. Absent: none is ordered.
	ACME *ACME `yaml:"acme" good:"{agree: true, storage: /var/lib/switchyard/acme}" bad:"true"`
	// Application protocols to offer, the preferred one first. What follows is passed to the backends as it is, so they must
	// speak each of them. A client that offers others only is refused. Absent: none.
	ALPN []Protocol `yaml:"alpn" min:"1" max:"64" good:"[h2, http/1.1]" bad:"[\"\"]"`
	// The oldest version to speak. Quoted, since it is text and not a number.
	MinVersion Choice[uint16, TLSVersions] `yaml:"min_version" default:"\"1.2\"" good:"\"1.3\"" bad:"1.2"`
	// The newest version to speak. Quoted likewise.
	MaxVersion Choice[uint16, TLSVersions] `yaml:"max_version" default:"\"1.3\"" good:"\"1.2\"" bad:"\"1.4\""`
	// Cipher suites of TLS 1.2, in no order. Absent: those with ECDHE and AES-GCM or ChaCha20-Poly1305. Those of TLS 1.3 are
	// all good and cannot be chosen.
	Ciphers []Choice[uint16, CipherSuites] `yaml:"ciphers" min:"1" max:"64" good:"[TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]" bad:"[RC4-SHA]"`
	// Key exchange groups, in no order. Absent: X25519MLKEM768, which withstands quantum computers, and the other hybrids of
	// its kind, X25519, P-256, P-384 and P-521.
	Curves []Choice[tls.CurveID, Curves] `yaml:"curves" min:"1" max:"16" good:"[X25519MLKEM768, X25519]" bad:"[secp224r1]"`
	// Certificates of clients. Absent: they are not asked for one.
	ClientAuth *ClientAuth `yaml:"client_auth" good:"{ca: certs/clients.crt}" bad:"required"`
	// How clients resume sessions. Absent: with keys of this process.
	Tickets *Tickets `yaml:"tickets" good:"{rotate: 1h}" bad:"false"`
	// The longest time from the complete ClientHello to the end of the handshake, waiting for its turn included.
	HandshakeTimeout Duration `yaml:"handshake_timeout" default:"5s" min:"10ms" max:"5m" good:"10s" bad:"0s"`
}

// ClientAuth is which certificates of clients are trusted. A session that is resumed is held to it as a new one is.
type ClientAuth struct {
	Mapping
	// PEM file with the authorities to trust, and no others. It is read again when it changes. A relative path is relative to
	// this file.
	CA Path `yaml:"ca" required:"true" good:"certs/clients.crt" bad:"missing.pem"`
	// Whether a client without a certificate is refused. Otherwise it is served, and only a wrong certificate is refused.
	Require Flag `yaml:"require" default:"true" good:"false" bad:"optional"`
	// File with lists of revoked certificates, PEM or one in DER. It is read again when it changes. A certificate whose
	// authority has no list in it, or an expired one, is refused. Absent: none is revoked.
	CRL Path `yaml:"crl" good:"certs/clients.crl" bad:"missing.crl"`
}

// Tickets is how clients resume sessions. A ticket is good for its host, and under the policy it was made under.
type Tickets struct {
	Mapping
	// Whether sessions are resumed.
	Enabled Flag `yaml:"enabled" default:"true" good:"false" bad:"sometimes"`
	// How long a key of this process makes tickets; it is accepted for twice as long again. Beside keys it has no effect.
	Rotate Duration `yaml:"rotate" default:"12h" min:"1m" max:"168h" good:"1h" bad:"0s"`
	// Files (mode 0600) with keys that machines have in common: 48 or 80 random bytes, or lines of base64 that are. The first
	// key makes tickets, and every key is accepted. They are read again when they change. Absent: keys of this process.
	Keys []Path `yaml:"keys" min:"1" max:"16" good:"[certs/tickets.key]" bad:"[]"`
}

// TLSVersions are the versions that may be spoken.
type TLSVersions struct{}

// Options implements the choices of a [Choice].
func (TLSVersions) Options() []Option[uint16] {
	return []Option[uint16]{{"1.2", tls.VersionTLS12}, {"1.3", tls.VersionTLS13}}
}

// Hint explains why older versions are not among them.
func (TLSVersions) Hint(word string) string {
	switch version := strings.TrimLeft(strings.ToLower(word), "tlsv "); { // TLSv1.2 in nginx and HAProxy
	case version == "1" || version == "1.0" || version == "1.1":
		return "TLS 1.0 and 1.1 are broken (RFC 8996): use 1.2 or 1.3"
	case version != word && (version == "1.2" || version == "1.3"):
		return didYouMean(version)
	}
	return ""
}

// CipherSuites are the suites of TLS 1.2 that may be chosen.
type CipherSuites struct{}

// Options implements the choices of a [Choice].
func (CipherSuites) Options() (all []Option[uint16]) {
	for _, s := range tls.CipherSuites() {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) && !strings.Contains(s.Name, "_CBC_") {
			all = append(all, Option[uint16]{s.Name, s.ID})
		}
	}
	return all
}

// Hint explains why some suites are not among them.
func (CipherSuites) Hint(word string) string {
	switch {
	case strings.HasPrefix(word, "TLS_AES") || strings.HasPrefix(word, "TLS_CHACHA20"):
		return "it is of TLS 1.3, whose suites are always on"
	case !strings.Contains(word, "_"):
		for _, o := range (CipherSuites{}).Options() {
			if openSSLName(o.Word) == word {
				return didYouMean(o.Word)
			}
		}
		return "names are those of the TLS registry, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
	}
	return ""
}

// openSSLName is what OpenSSL, nginx and HAProxy call a suite of TLS 1.2.
func openSSLName(suite string) string {
	name := strings.NewReplacer("TLS_", "", "_WITH_", "-", "AES_", "AES", "_", "-").Replace(suite)
	return strings.Replace(name, "CHACHA20-POLY1305-SHA256", "CHACHA20-POLY1305", 1)
}

// Curves are the key exchange groups.
type Curves struct{}

// Options implements the choices of a [Choice].
func (Curves) Options() []Option[tls.CurveID] {
	return []Option[tls.CurveID]{
		{"X25519MLKEM768", tls.X25519MLKEM768}, {"SecP256r1MLKEM768", tls.SecP256r1MLKEM768},
		{"SecP384r1MLKEM1024", tls.SecP384r1MLKEM1024}, {"X25519", tls.X25519},
		{"P-256", tls.CurveP256}, {"P-384", tls.CurveP384}, {"P-521", tls.CurveP521},
	}
}

// Hint knows the other names of the same curves.
func (Curves) Hint(word string) string {
	theirs := map[string]string{
		"prime256v1": "P-256", "secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "x25519": "X25519", "p256": "P-256",
	}
	if ours := theirs[word]; ours != "" {
		return didYouMean(ours)
	}
	return ""
}
