// Package peek reads what a TLS client and server say to each other before they encrypt:
// the ClientHello, the ServerHello and the alerts around them. It decrypts nothing, needs
// no socket, no clock and no configuration, and uses the standard library alone.
//
//	TCP bytes so far ──> Parser.Parse ──> records off ──┐
//	                                                    ├──> one handshake message ──> Hello
//	QUIC CRYPTO bytes ─> Parser.ParseMessage ───────────┘      (aliases the input)       │
//	                          │                                                          ├─ ServerName, ALPN
//	                          ├─ ErrIncomplete: call again with more                     ├─ lists: Codes, KeyShareList …
//	                          ├─ ErrNotTLS, ErrTooBig, *SyntaxError: never valid         └─ JA4
//
//	first bytes of a server ──> ParseServerFlight ──> ServerFlight: version, cipher suite, group, or alert
//
// A Parser is told all the bytes received so far, each time more have come. It answers one
// of four things: incomplete, not TLS, malformed, or a whole hello. The answer does not
// depend on how the bytes were cut into segments, and only bytes not seen before cost
// anything. A hello that is not understood to its last byte is an error and never a hello
// without a name: whoever routes by the name must not guess.
//
// What is accepted is what crypto/tls accepts, or less; docs/peek.md lists every
// difference with the test that shows it.
package peek
