package peek

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"sync"
	"time"
)

// scripted is a connection that has received all it ever will, and keeps what is sent.
type scripted struct {
	received bytes.Reader
	sent     bytes.Buffer
}

func (c *scripted) Read(b []byte) (int, error)         { return c.received.Read(b) }
func (c *scripted) Write(b []byte) (int, error)        { return c.sent.Write(b) }
func (c *scripted) Close() error                       { return nil }
func (c *scripted) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (c *scripted) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (c *scripted) SetDeadline(t time.Time) error      { return nil }
func (c *scripted) SetReadDeadline(t time.Time) error  { return nil }
func (c *scripted) SetWriteDeadline(t time.Time) error { return nil }

// verdict is what one reader makes of a stream that ends where it ends.
type verdict struct {
	accepted  bool
	name      string
	protocols []string
	cause     string // why not, for a person
}

// oracle asks crypto/tls: a server that gets this far has accepted the hello.
func oracle(wire []byte) (v verdict) {
	conn := &scripted{}
	conn.received.Reset(wire)
	server := tls.Server(conn, &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		v = verdict{accepted: true, name: info.ServerName, protocols: info.SupportedProtos}
		return nil, errSeen
	}})
	if err := server.Handshake(); !v.accepted {
		v.cause = err.Error()
	}
	return v
}

var errSeen = errors.New("hello seen")

// ours asks this package the same.
func ours(wire []byte) verdict {
	h, err := ParseClientHello(wire)
	if err != nil {
		return verdict{cause: cause(err)}
	}
	v := verdict{accepted: true, name: string(h.ServerName)}
	for p := range h.ALPN.All() {
		v.protocols = append(v.protocols, string(p))
	}
	return v
}

// cause is the class of a rejection, without its offset.
func cause(err error) string {
	if syntax, ok := errors.AsType[*SyntaxError](err); ok {
		return syntax.What
	}
	return err.Error()
}

// testCertificate is made once and good for any name, as nobody checks it.
var testCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{corpusName},
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})
