// Package capture takes the start of every TCP stream out of a packet capture, so that a hello can be looked at
// as it crossed the wire. It reads pcap (gzipped too) and pcapng, in Go alone.
//
//	file -> packets -> Ethernet, IP, TCP -> segments of one direction -> first bytes, in order
//
// It is a tool for looking, not a network stack: fragmented IP packets are left out, and of two segments that
// say different things about the same byte the earlier one in the file counts.
package capture
