//go:build !linux

package sys

import (
	"net/netip"
	"syscall"
)

// Supported says whether this platform has what an event loop needs.
const Supported = false

// Event bits of an epoll event.
const (
	EventIn    = 1
	EventOut   = 4
	EventErr   = 8
	EventHup   = 16
	EventRdHup = 0x2000
)

// Event is one epoll event.
type Event struct{}

// Token is what Watch was told to carry.
func (e *Event) Token() uint64 { return 0 }

// Bits are the Event… bits that hold.
func (e *Event) Bits() uint32 { return 0 }

// Every call answers that there is no such thing here.

func Recv(fd int, p []byte) (int, syscall.Errno)            { return 0, syscall.ENOSYS }
func Send(fd int, p []byte, more bool) (int, syscall.Errno) { return 0, syscall.ENOSYS }
func Splice(in, out, n int) (int, syscall.Errno)            { return 0, syscall.ENOSYS }
func Close(fd int)                                          {}
func CloseWrite(fd int) syscall.Errno                       { return syscall.ENOSYS }
func Reset(fd int)                                          {}
func ResetOnClose(fd int)                                   {}
func SetInt(fd, level, opt, v int) syscall.Errno            { return syscall.ENOSYS }
func Pipe(size int) (r, w, room int, errno syscall.Errno)   { return -1, -1, 0, syscall.ENOSYS }

func EpollCreate() (int, syscall.Errno)                         { return -1, syscall.ENOSYS }
func Watch(ep, fd int, token uint64) syscall.Errno              { return syscall.ENOSYS }
func WatchReadable(ep, fd int, token uint64) syscall.Errno      { return syscall.ENOSYS }
func WatchBoth(ep, fd int, token uint64) syscall.Errno          { return syscall.ENOSYS }
func WatchWritable(ep, fd int, token uint64) syscall.Errno      { return syscall.ENOSYS }
func SetQuickAck(fd int)                                        {}
func SetReuseAddr(fd int)                                       {}
func Unacknowledged(fd int) int                                 { return 0 }
func SetSmartAccept(fd int)                                     {}
func SetSmartConnect(fd int)                                    {}
func WatchListener(ep, fd int, token uint64) syscall.Errno      { return syscall.ENOSYS }
func Unwatch(ep, fd int)                                        {}
func OpenSpare() (int, syscall.Errno)                           { return -1, syscall.ENOSYS }
func DescriptorLimit() int64                                    { return 1024 }
func MachineMemory() int64                                      { return 0 }
func EpollWait(ep int, events []Event) (int, syscall.Errno)     { return 0, syscall.ENOSYS }
func TimerFD() (int, syscall.Errno)                             { return -1, syscall.ENOSYS }
func ArmTimer(fd int, ns int64)                                 {}
func EventFD() (int, syscall.Errno)                             { return -1, syscall.ENOSYS }
func Wake(fd int)                                               {}
func Clear(fd int)                                              {}
func Socket(v6 bool) (int, syscall.Errno)                       { return -1, syscall.ENOSYS }
func Bind(fd int, ap netip.AddrPort, v6 bool) syscall.Errno     { return syscall.ENOSYS }
func Listen(fd, backlog int) syscall.Errno                      { return syscall.ENOSYS }
func Connect(fd int, ap netip.AddrPort, v6 bool) syscall.Errno  { return syscall.ENOSYS }
func Accept(fd int) (int, netip.AddrPort, syscall.Errno)        { return -1, netip.AddrPort{}, syscall.ENOSYS }
func LocalAddr(fd int) netip.AddrPort                           { return netip.AddrPort{} }
func TakeError(fd int) syscall.Errno                            { return syscall.ENOSYS }
func Keepalive(fd, idle, interval, count, userTimeout int)      {}
func SetUserTimeout(fd, ms int)                                 {}
func SetNoDelay(fd int)                                         {}
func SetReusePort(fd int)                                       {}
func SetOnlyV6(fd int, only bool) syscall.Errno                 { return syscall.ENOSYS }
func BindSource(fd int, addr netip.Addr, v6 bool) syscall.Errno { return syscall.ENOSYS }
func LastAck(fd int) (ms uint32, ok bool)                       { return 0, false }

// GiveWay does nothing here.
func GiveWay() (restore func()) { return func() {} }

// KeepMemory does nothing here.
func KeepMemory() error { return nil }
