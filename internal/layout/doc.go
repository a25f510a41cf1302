// Package layout holds the test that keeps the packages' imports pointing one way. It has no code of its own.
//
//	cmd -> admin, configs, bench -> balancer -> route, peek -> standard library
package layout
