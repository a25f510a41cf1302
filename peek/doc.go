// Package peek reads the first flight of a TLS handshake without decrypting it.
package peek
