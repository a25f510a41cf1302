// Package pool holds backends and chooses among them.
package pool
