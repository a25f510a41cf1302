package health_test

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/health"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

func ExampleChecker_Watch() {
	checker := health.New(nil)
	defer checker.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()

	first := make(chan health.Report, 1)
	check := &pool.Check{Type: pool.CheckTCP, Interval: 5 * time.Second, FastInterval: 100 * time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 3}
	stop := checker.Watch(netip.MustParseAddrPort(l.Addr().String()), check, netip.Addr{}, func(r health.Report) {
		select {
		case first <- r:
		default: // told is not to wait
		}
	})
	defer stop()
	fmt.Println((<-first).State)
	// Output: up
}
