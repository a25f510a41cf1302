package terminate

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Failure is why a connection did not come to an end in order. The zero Failure means that it did.
type Failure uint8

// The failures, in the order a connection can meet them.
const (
	None              Failure = iota
	FDLimit                   // no descriptor, or no room in the netpoller
	Busy                      // too many handshakes at once
	HandshakeTimeout          // the handshake was not complete in time
	ClientGone                // the client closed or reset within its handshake
	NameDiffers               // crypto/tls reads another name than the one that chose the route
	NoCommonVersion           // the client offers no version that the policy allows
	NoCommonCipher            // nor a cipher suite, a group or a signature algorithm
	NoCommonProtocol          // the client offers protocols, none of them the policy's
	EarlyData                 // the client sends early data, which was not asked for
	NoCertificate             // no certificate is for the name
	BadCertificate            // the certificate for the name cannot be used now
	ClientCertMissing         // one is required, and none came
	ClientCertExpired         // it has expired, or is not valid yet
	ClientCertRevoked         // it is on the list of its authority
	ClientCertRefused         // it is not trusted for any other reason
	ClientAlert               // the client refused the handshake
	HandshakeFail             // any other breach of the protocol
	PoolLimit                 // the pool or all its backends are full
	QueueFull                 // the same, and as many wait already as may
	QueueTimeout              // the same, and no slot became free in time
	NoBackend                 // no backend may be tried
	ConnectFail               // no backend accepted the connection
	ConnectTimeout            // nor in time
	BackendRefused            // the last backend's certificate or handshake is wrong
	AnswerFail                // the last backend hung up within its handshake
	AnswerTimeout             // or did not complete it in time
	ClientReset               // the client reset
	BackendReset              // the backend reset
	ClientLost                // the client stopped acknowledging
	BackendLost               // the backend stopped acknowledging
	BrokenTLS                 // what came after the handshake is no TLS, or was tampered with
	HalfCloseTimeout          // silent too long after one side had ended
	Stopped                   // by [Conn.Stop]: whoever called it knows why
	Defect                    // a panic
	NumFailures
)

// refusal is an error of ours within a handshake.
type refusal struct {
	failure Failure
	text    string
}

func (r *refusal) Error() string { return r.text }

// maxText bounds what a log line says of an error: parts of it can come from a certificate of a stranger.
const maxText = 200

// plain makes text printable ASCII of bounded length.
func plain(text string) string {
	text = strings.TrimPrefix(text, "tls: ")
	return unquoted(strconv.QuoteToASCII(text[:min(len(text), maxText)]))
}

// unquoted is what strconv has quoted: its escapes without the quotes around it, and without those that only these need.
func unquoted(q string) string { return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`) }

// handshakeFailure says in plain words why a handshake with a client came to nothing.
func (c *Conn) handshakeFailure(err error) (Failure, string) {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.failure, plain(r.text)
	}
	if v, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		f, text := clientCertFailure(v.Err, v.UnverifiedCertificates[0])
		return f, plain(text + whose(v.UnverifiedCertificates))
	}
	if alert := c.alerted(err); alert != nil {
		return ClientAlert, "client sent alert: " + plain(alert.Error())
	}
	switch {
	case errors.Is(err, errBusy):
		return Busy, ""
	case errors.Is(err, os.ErrDeadlineExceeded):
		return HandshakeTimeout, ""
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errnoOf(err) != 0:
		return ClientGone, errnoText(err)
	case c.missing != nil:
		return NoCertificate, plain(strings.TrimPrefix(c.missing.Error(), "certs: "))
	}
	return c.protocolFailure(err)
}

// alerted is the alert that err says the client has sent; nil if it says something else.
func (c *Conn) alerted(err error) error {
	switch op, ok := errors.AsType[*net.OpError](err); {
	case !ok:
	case op.Op == "remote error":
		return op.Err
	case op.Op == "local error" && c.client.sock != nil:
		return c.client.sock.alert // if there was one, that is what was wrong with the record
	}
	return nil
}

// whose says whose certificate a client has shown, for whoever has to find the client. It is not verified.
func whose(chain []*x509.Certificate) string {
	if len(chain) == 0 {
		return ""
	}
	c := chain[0]
	number := c.SerialNumber.FillBytes(make([]byte, max(1, (c.SerialNumber.BitLen()+7)/8))) // as openssl prints it
	return fmt.Sprintf(": subject %.64q, issuer %.64q, serial %.20x", c.Subject.CommonName, c.Issuer.CommonName, number)
}

// protocolFailures are the errors of crypto/tls that have a Failure of their own, by how they begin. A test has each of them
// made by a real handshake, since crypto/tls does not promise the words.
var protocolFailures = []struct {
	begins  string
	failure Failure
	text    string // "": what crypto/tls says
	offer   offer  // what to list of the hello; nil: nothing
}{
	{"tls: client offered only unsupported versions", NoCommonVersion, "no common version", versionsOffered},
	{"tls: no cipher suite supported", NoCommonCipher, noCipher, ciphersOffered},
	{"tls: no key exchanges supported", NoCommonCipher, "no common group", groupsOffered},
	{"tls: peer doesn't support any of the certificate's signature algorithms", NoCommonCipher, noSignature, signaturesOffered},
	{"tls: peer doesn't support the certificate custom signature algorithms", NoCommonCipher, noSignature, signaturesOffered},
	{"tls: client requested unsupported application protocols", NoCommonProtocol, "no common protocol", protocolsOffered},
	{"tls: client sent unexpected early data", EarlyData, "client sent early data, which no session of ours allows", nil},
	{"tls: client indicated early data in second", EarlyData, "client sent early data, which no session of ours allows", nil},
	{"tls: client didn't provide a certificate", ClientCertMissing, "client sent no certificate", nil},
	{"tls: failed to parse client certificate", ClientCertRefused, "", nil},
	{"tls: client certificate", ClientCertRefused, "", nil},
	{"tls: invalid signature by the client certificate", ClientCertRefused, "", nil},
	{"tls: client sent certificate", ClientCertRefused, "", nil},
}

const (
	noCipher    = "no common cipher"
	noSignature = "client supports no signature algorithm of the certificate"
)

// because says why a cipher suite that both sides know is not one for both; "" where there is none, or something else is wrong.
func (c *Conn) because(text string) string {
	if text != noCipher || c.chosen == nil {
		return ""
	}
	signer, ok := c.chosen.PrivateKey.(crypto.Signer)
	if !ok {
		return ""
	}
	key := KeyOfSuites(signer.Public())
	others := false
	for _, s := range c.hello.CipherSuites {
		if !slices.Contains(c.job.Policy.cfg.CipherSuites, s) {
			continue
		}
		if strings.Contains(tls.CipherSuiteName(s), "_"+key+"_") {
			return ""
		}
		others = true
	}
	if !others {
		return ""
	}
	return " for the certificate's key, " + key
}

// KeyOfSuites is what suites of TLS 1.2 call a public key; they count Ed25519 among ECDSA (RFC 8422 §5.10).
func KeyOfSuites(public any) string {
	if _, ok := public.(*rsa.PublicKey); ok {
		return "RSA"
	}
	return "ECDSA"
}

func (c *Conn) protocolFailure(err error) (Failure, string) {
	text := err.Error()
	for _, p := range protocolFailures {
		if !strings.HasPrefix(text, p.begins) {
			continue
		}
		switch {
		case p.text == "":
			return p.failure, plain(text)
		case p.offer != nil && c.hello != nil:
			return p.failure, p.text + c.because(p.text) + ": client offered " + p.offer(c.hello)
		}
		return p.failure, p.text
	}
	if c.job.Dot && strings.Contains(text, "decoding") {
		return HandshakeFail, "the server name ends with a dot (RFC 6066, section 3)"
	}
	return HandshakeFail, plain(text)
}

// brokenText says what is wrong with what came after a handshake.
func brokenText(err error) string {
	text := err.Error()
	if strings.Contains(text, "*tls.clientHelloMsg") {
		return "asks for renegotiation, which there is none of"
	}
	return plain(text)
}

// clientCertFailure says what is wrong with a client's certificate, leaf.
func clientCertFailure(err error, leaf *x509.Certificate) (Failure, string) {
	if inv, ok := errors.AsType[x509.CertificateInvalidError](err); ok && inv.Reason == x509.Expired {
		when := "expired on " + inv.Cert.NotAfter.UTC().Format(time.RFC3339)
		if time.Now().Before(inv.Cert.NotBefore) {
			when = "not valid before " + inv.Cert.NotBefore.UTC().Format(time.RFC3339)
		}
		if !inv.Cert.Equal(leaf) { // it is of no use to renew the client's
			return ClientCertRefused, authorityOf(inv.Cert) + when
		}
		return ClientCertExpired, "client certificate " + when
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return ClientCertRefused, "client certificate signed by an unknown authority"
	}
	return ClientCertRefused, fmt.Sprintf("client certificate refused: %v", err)
}

// authorityOf is how a text begins that is about an authority and not about the client's own certificate.
func authorityOf(c *x509.Certificate) string {
	return fmt.Sprintf("authority %.64q of the client certificate ", c.Subject.CommonName)
}

// errnoText is the text of the errno within err; "" if there is none.
func errnoText(err error) string {
	if e := errnoOf(err); e != 0 {
		return e.Error()
	}
	return ""
}
