package health

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// What this machine lacks is no failure of a backend, nor an end of a row of them: the check was not made.
func TestOutOfDescriptorsNoBackendIsDown(t *testing.T) {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			l := newLab(func(netip.AddrPort) error {
				switch n++; {
				case n == 1:
					return nil
				case n == 2 || n > 5:
					return syscall.ECONNREFUSED
				}
				return &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", e)}
			})
			defer l.Close()
			var h heard
			l.Watch(backendA, &pool.Check{Interval: time.Second, Fall: 3}, netip.Addr{}, h.told)
			for len(l.dials()) < 5 {
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
			if r := h.last(); h.count() != 2 || r.State != pool.StateUp || r.Failures != 1 {
				t.Errorf("%v: told %d times, at last %+v, want twice, and one failure", e, h.count(), r)
			}
			for len(l.dials()) < 7 {
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
			if r := h.last(); h.count() != 4 || r.State != pool.StateDown || r.Failures != 3 {
				t.Errorf("%v: told %d times, at last %+v, want four times, and that it is down", e, h.count(), r)
			}
		})
	}
}
