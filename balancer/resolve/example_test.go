package resolve_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/resolve"
)

func ExampleResolver_Watch() {
	// In the product this is resolve.System().
	lookup := func(context.Context, string) ([]netip.Addr, time.Duration, error) {
		return []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.1")}, time.Minute, nil
	}
	r := resolve.New(lookup, nil)
	defer r.Close()
	known := make(chan []netip.Addr, 1)
	stop := r.Watch("web.example.com", func(addrs []netip.Addr) { known <- addrs })
	defer stop()
	fmt.Println(<-known)
	// Output: [10.0.0.1 10.0.0.2]
}
