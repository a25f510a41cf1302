package pool_test

import (
	"fmt"
	"net/netip"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

func ExamplePool_Pick() {
	p := pool.New(pool.Config{
		Name: "web",
		Backends: []pool.BackendConfig{
			{Addr: netip.MustParseAddrPort("10.0.0.1:443"), Weight: 2},
			{Addr: netip.MustParseAddrPort("10.0.0.2:443"), Weight: 1, MaxConnections: 1},
			{Addr: netip.MustParseAddrPort("10.0.0.3:443"), Weight: 1, Backup: true},
		},
	})
	r := &pool.Request{Client: netip.MustParseAddr("192.0.2.1"), SNI: "www.example.com"}
	for range 4 {
		b, _ := p.Pick(r) // slots are kept: the second backend is full from then on
		fmt.Println(b.Name)
	}
	b, _ := p.Pick(&pool.Request{Tried: p.Backends()[:1]})
	fmt.Println("after one failed:", b.Name)
	_, why := p.Pick(&pool.Request{Tried: p.Backends()})
	fmt.Println("after all failed:", why == pool.NoBackend)
	// Output:
	// 10.0.0.1:443
	// 10.0.0.2:443
	// 10.0.0.1:443
	// 10.0.0.1:443
	// after one failed: 10.0.0.3:443
	// after all failed: true
}

func ExamplePool_SetAddrs() {
	p := pool.New(pool.Config{
		Name:     "web",
		Backends: []pool.BackendConfig{{Host: "web.example.com", Addr: netip.AddrPortFrom(netip.Addr{}, 443), Weight: 1}},
	})
	p.SetAddrs(0, []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")})
	left := p.SetAddrs(0, []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("2001:db8::1")})
	fmt.Println("left:", left[0].Name)
	for _, b := range p.Backends() {
		fmt.Println(b.Name, b.State())
	}
	// Output:
	// left: 10.0.0.1:443
	// 10.0.0.2:443 unknown
	// [2001:db8::1]:443 unknown
}
