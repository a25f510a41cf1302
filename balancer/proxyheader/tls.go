package proxyheader

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// TLS is what a header says of the TLS that was spoken with the client (§2.2.6).
type TLS struct {
	Version     string // "TLSv1.3"
	Cipher      string // "TLS_AES_128_GCM_SHA256"
	CommonName  string // of the client's certificate; left out if longer than MaxCommonName, or not UTF-8
	Group       string // of the key exchange, "X25519MLKEM768"; "": there was none
	Certificate bool   // the client has a certificate, and it was verified
	Resumed     bool   // it came with the session, and not over this connection
	DER         []byte // the client's certificate; left out if longer than MaxDER
}

// MaxCommonName is the longest common name that is told (RFC 5280 appendix A, ub-common-name, in bytes of UTF-8). Nothing is cut to
// make it fit: the beginning of a name may be another's.
const MaxCommonName = 256

// MaxDER is the longest certificate of a client that is told: with it a header of ours stays below 4 096 bytes, which is what nginx
// reads of one (NGX_PROXY_PROTOCOL_MAX_HEADER).
const MaxDER = 3072

// Types of the TLVs within tlvSSL, and bits of its first byte.
const (
	tlvSSLVersion = 0x21
	tlvSSLCN      = 0x22
	tlvSSLCipher  = 0x23
	tlvSSLGroup   = 0x26
	tlvSSLCert    = 0x28

	clientSSL      = 0x01
	clientCertConn = 0x02 // over this connection
	clientCertSess = 0x04 // at least once over the session

	sslHead = 5 // client (1) and verify (4)
)

// append writes the TLV, drawn here; its sizes have been checked.
//
//	type (1) = 0x20   length (2)
//	client (1)        bits: TLS, certificate over this connection, certificate over this session
//	verify (4)        0: the client has shown a certificate, and it was verified
//	TLVs              version, common name, cipher, group, certificate
func (t *TLS) append(dst []byte) []byte {
	size, _ := t.size()
	if size == 0 {
		return dst
	}
	client, verify := byte(clientSSL), uint32(1)
	if t.Certificate {
		client, verify = client|clientCertSess, 0
		if !t.Resumed {
			client |= clientCertConn
		}
	}
	dst = append(dst, tlvSSL)
	dst = binary.BigEndian.AppendUint16(dst, uint16(size-tlvHead))
	dst = append(dst, client)
	dst = binary.BigEndian.AppendUint32(dst, verify)
	dst = appendTLV(dst, tlvSSLVersion, t.Version)
	dst = appendTLV(dst, tlvSSLCN, t.commonName())
	dst = appendTLV(dst, tlvSSLCipher, t.Cipher)
	dst = appendTLV(dst, tlvSSLGroup, t.Group)
	return appendTLV(dst, tlvSSLCert, t.der())
}

// size is the length of the whole TLV; 0 without one. ok is false if a value is too long for its length.
func (t *TLS) size() (n int, ok bool) {
	if t == nil {
		return 0, true
	}
	n = tlvHead + sslHead
	for _, value := range [...]int{len(t.Version), len(t.commonName()), len(t.Cipher), len(t.Group), len(t.der())} {
		if value > math.MaxUint16 {
			return 0, false
		}
		if value > 0 {
			n += tlvHead + value
		}
	}
	return n, n-tlvHead <= math.MaxUint16
}

func (t *TLS) commonName() string {
	if !t.Certificate || len(t.CommonName) > MaxCommonName || !utf8.ValidString(t.CommonName) {
		return ""
	}
	return t.CommonName
}

func (t *TLS) der() []byte {
	if !t.Certificate || len(t.DER) > MaxDER {
		return nil
	}
	return t.DER
}
