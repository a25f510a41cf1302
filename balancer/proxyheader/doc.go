// Package proxyheader reads and writes PROXY protocol headers, versions 1 and 2, in buffers.
//
// It knows no socket: whoever reads the connection hands over all bytes so far and asks again when there are more,
// and whoever writes one gets bytes to send before the ClientHello. A wrapper around the connection, which is what
// libraries offer, would hide the descriptor from splice(2).
//
//	client ── proxy ──▶ read buffer: │ PROXY header │ ClientHello … │
//	                                 └─────┬────────┘
//	                             Parse ────┴──▶ Info{Source, Dest}, length of the header
//
//	Out{Source, Dest, Authority, …} ──▶ Append ──▶ │ PROXY header │ ClientHello … │ ──▶ backend
//
// The specification is HAProxy's doc/proxy-protocol.txt; section numbers in this package are its own. What is refused
// and what the receiver may decide for itself is listed in docs/proxy-protocol.md.
//
// Parse frames the header itself, in constant time, because a header may arrive one byte at a time; the addresses
// inside are decoded by github.com/pires/go-proxyproto, which also checks in the tests what Append writes.
//
// All functions may be called from any goroutine.
package proxyheader
