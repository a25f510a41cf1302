// Package proxyheader reads and writes PROXY protocol headers in a buffer, away from any socket.
package proxyheader
