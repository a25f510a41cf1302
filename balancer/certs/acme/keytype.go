package acme

import "github.com/caddyserver/certmagic"

// KeyType is what keys certificates are ordered for. The zero KeyType is P256.
type KeyType uint8

// The types of keys.
const (
	P256 KeyType = iota // ECDSA on P-256
	P384                // ECDSA on P-384
	RSA2048
	RSA4096
)

// generator makes keys of a type.
func (k KeyType) generator() certmagic.KeyGenerator {
	theirs := [...]certmagic.KeyType{P256: certmagic.P256, P384: certmagic.P384, RSA2048: certmagic.RSA2048, RSA4096: certmagic.RSA4096}
	return certmagic.StandardKeyGenerator{KeyType: theirs[k]}
}
