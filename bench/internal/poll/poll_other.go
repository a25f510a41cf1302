//go:build !linux

package poll

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

var errOther = fmt.Errorf("poll: measuring needs epoll: %w", errors.ErrUnsupported)

// Loop is Linux only.
type Loop struct{}

// New is Linux only.
func New() (*Loop, error) { return nil, errOther }

// Close is Linux only.
func (l *Loop) Close() {}

// Add is Linux only.
func (l *Loop) Add(int, Handler) error { return errOther }

// AddListener is Linux only.
func (l *Loop) AddListener(int, Handler) error { return errOther }

// Drop is Linux only.
func (l *Loop) Drop(int) {}

// Wake is Linux only.
func (l *Loop) Wake() {}

// Run is Linux only.
func (l *Loop) Run(func() (time.Duration, bool)) error { return errOther }

// Poll is Linux only.
func (l *Loop) Poll() error { return errOther }

// Listen is Linux only.
func Listen(netip.AddrPort) (int, netip.AddrPort, error) { return -1, netip.AddrPort{}, errOther }

// Accept is Linux only.
func Accept(int) (int, error) { return -1, errOther }

// Connect is Linux only.
func Connect(netip.Addr, netip.AddrPort) (int, error) { return -1, errOther }

// LateSourcePort is Linux only.
func LateSourcePort(int) error { return errOther }

// NoDelay is Linux only.
func NoDelay(int) error { return errOther }

// Read is Linux only.
func Read(int, []byte) (int, error) { return 0, errOther }

// Discard is Linux only.
func Discard(int, []byte) (int, error) { return 0, errOther }

// Write is Linux only.
func Write(int, []byte) (int, error) { return 0, errOther }

// ResetOnClose is Linux only.
func ResetOnClose(int) {}

// CloseFD is Linux only.
func CloseFD(int) {}
