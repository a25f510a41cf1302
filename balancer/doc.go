// Package balancer is the data plane: it accepts connections, reads their ClientHello, and carries their bytes.
package balancer
