package main

import (
	"crypto/tls"
	"fmt"

	"github.com/seed-23b4a313/switchyard/peek"
)

// Names of TLS code points, as IANA's "TLS Parameters" registry has them. What has no name here is a number.

func versionName(v uint16) string {
	if peek.IsGREASE(v) {
		return grease(v)
	}
	return tls.VersionName(v)
}

func suiteName(s uint16) string {
	switch {
	case peek.IsGREASE(s):
		return grease(s)
	case s == 0x00ff: // RFC 5746 §3.3
		return "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"
	}
	return tls.CipherSuiteName(s)
}

func groupName(g uint16) string { return lookUp(groupNames, g) }

var groupNames = map[uint16]string{
	0x0017: "secp256r1", 0x0018: "secp384r1", 0x0019: "secp521r1", 0x001d: "x25519", 0x001e: "x448", // RFC 8446 §4.2.7
	0x0100: "ffdhe2048", 0x0101: "ffdhe3072", 0x0102: "ffdhe4096", 0x0103: "ffdhe6144", 0x0104: "ffdhe8192", // RFC 7919
	0x11eb: "SecP256r1MLKEM768", 0x11ec: "X25519MLKEM768", 0x11ed: "SecP384r1MLKEM1024", // draft-ietf-tls-ecdhe-mlkem
	0x6399: "X25519Kyber768Draft00",
}

func signatureName(s uint16) string { return lookUp(signatureNames, s) }

// RFC 8446 §4.2.3; those with SHA-224 or DSA are from RFC 5246 §7.4.1.4.1.
var signatureNames = map[uint16]string{
	0x0201: "rsa_pkcs1_sha1", 0x0203: "ecdsa_sha1", 0x0301: "rsa_pkcs1_sha224", 0x0303: "ecdsa_sha224",
	0x0401: "rsa_pkcs1_sha256", 0x0501: "rsa_pkcs1_sha384", 0x0601: "rsa_pkcs1_sha512",
	0x0403: "ecdsa_secp256r1_sha256", 0x0503: "ecdsa_secp384r1_sha384", 0x0603: "ecdsa_secp521r1_sha512",
	0x0202: "dsa_sha1", 0x0302: "dsa_sha224", 0x0402: "dsa_sha256", 0x0502: "dsa_sha384", 0x0602: "dsa_sha512",
	0x0804: "rsa_pss_rsae_sha256", 0x0805: "rsa_pss_rsae_sha384", 0x0806: "rsa_pss_rsae_sha512",
	0x0807: "ed25519", 0x0808: "ed448",
	0x0809: "rsa_pss_pss_sha256", 0x080a: "rsa_pss_pss_sha384", 0x080b: "rsa_pss_pss_sha512",
}

func lookUp(names map[uint16]string, code uint16) string {
	if peek.IsGREASE(code) {
		return grease(code)
	}
	if name, ok := names[code]; ok {
		return name
	}
	return fmt.Sprintf("0x%04X", code)
}

// grease marks the values that mean nothing on purpose (RFC 8701).
func grease(code uint16) string { return fmt.Sprintf("GREASE(0x%04X)", code) }
