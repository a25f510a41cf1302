// Package resolve keeps the addresses of DNS names fresh.
package resolve
