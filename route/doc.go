// Package route decides which pool a connection belongs to, from its server name, ALPN, client and listener.
package route
