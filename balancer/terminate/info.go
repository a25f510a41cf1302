package terminate

import (
	"crypto/tls"
	"strings"
)

// Info is what a handshake has agreed upon. It is not changed.
type Info struct {
	Version     uint16
	CipherSuite uint16
	Group       tls.CurveID // 0: a session of TLS 1.2 was resumed
	Resumed     bool
	ALPN        string // "": none
	Certificate string // file of the certificate; "" if a session was resumed
	Policy      string // Policy.ID
	Client      string // common name of the client's certificate; "" without one
	HasClient   bool   // the client has a certificate
	Took        int64  // ns from the hand-over to the end of the handshake
}

// VersionName is "1.2" or "1.3".
func (i *Info) VersionName() string { return strings.TrimPrefix(tls.VersionName(i.Version), "TLS ") }

// CipherName is the name of the cipher suite in the registry of TLS.
func (i *Info) CipherName() string { return tls.CipherSuiteName(i.CipherSuite) }

// GroupName is the name of the key exchange group; "" if there was none.
func (i *Info) GroupName() string {
	if i.Group == 0 {
		return ""
	}
	return groupName(i.Group)
}

// ClientName is the common name of the client's certificate as printable ASCII of bounded length, for a log line.
func (i *Info) ClientName() string { return plain(i.Client) }
