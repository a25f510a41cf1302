// Package wire is what the load generator and the reference backend say to each other through a balancer: real
// ClientHellos, the order that rides in them, and the answer.
//
//	ClientHello, built by crypto/tls once per length of name, then patched (or recorded elsewhere, and left as it was):
//
//	 16 03 01 LL LL | 01 LL LL LL | 03 03 | random (32)                     | … server_name: host-417.example.com …
//	 record header    handshake     version │ magic (8) op (1) 0 (7) size (8) │   the name chosen for this connection
//	                                        └ the order: what the backend is to do after its answer
//
//	Answer, 64 bytes, a sound TLS 1.2 ServerHello in one record:
//
//	 16 03 03 00 3b | 02 00 00 37 | 03 03 | random (32)                                      | session id (17) | c0 2f | 00
//	                                        magic (8) pool (4) hello length (4) hello crc (4)
//
// A balancer sees TLS and passes it on; the generator learns from the answer whether the hello arrived whole, and in
// the pool that its name belongs to. The order replaces bytes that are random anyway, so every balancer takes the
// hello as it takes a browser's.
package wire
