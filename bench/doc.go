// Package bench measures a TLS balancer from outside, side by side with others that do the same work.
package bench
