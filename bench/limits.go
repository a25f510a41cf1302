package bench

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
)

// reservedFDs is what a process needs besides its connections: standard streams, epoll, listeners, files.
const reservedFDs = 64

// checkLimits refuses a load that this process cannot hold, before it starts and with what to change.
func checkLimits(cfg LoadConfig) error {
	if err := needDescriptors("the generator", cfg.Workers+reservedFDs); err != nil {
		return err
	}
	return checkPorts(cfg, sysctls{
		PortRange: proc.Sysctl("net.ipv4.ip_local_port_range"),
		Reuse:     proc.Sysctl("net.ipv4.tcp_tw_reuse"),
	})
}

func needDescriptors(who string, need int) error {
	limit, err := proc.DescriptorLimit()
	if err == nil && need > limit {
		return fmt.Errorf("%s needs %d descriptors and may have %d: run `ulimit -n %d` first, or ask for fewer connections",
			who, need, limit, need)
	}
	return nil
}

// sysctls are the kernel settings that bound how fast new connections can follow each other. An empty one is unknown
// and bounds nothing.
type sysctls struct {
	PortRange string // net.ipv4.ip_local_port_range
	Reuse     string // net.ipv4.tcp_tw_reuse
}

// timeWait is how long the kernel keeps a closed connection's ports, in seconds (TCP_TIMEWAIT_LEN, include/net/tcp.h).
const timeWait = 60

// checkPorts compares what an open loop will use up with the ports of its sources. A closed loop has no rate to check:
// it counts "no_port" failures if it comes to that. tcp_tw_reuse 1 (or 2, on loopback) frees a port after a second.
func checkPorts(cfg LoadConfig, s sysctls) error {
	low, high, ok := strings.Cut(s.PortRange, " ")
	first, err1 := strconv.Atoi(low)
	last, err2 := strconv.Atoi(high)
	if !ok || err1 != nil || err2 != nil {
		return nil
	}
	sources := len(sourceAddrs(cfg))
	ports := (last - first + 1) * sources
	if cfg.Workers > ports {
		return fmt.Errorf("%d connections at a time need as many ports and %d sources have %d: raise the number of "+
			"sources, or widen net.ipv4.ip_local_port_range", cfg.Workers, sources, ports)
	}
	reused := s.Reuse == "1" || s.Reuse == "2" && cfg.Targets[0].Addr().IsLoopback()
	if used := int(cfg.Rate * timeWait); !reused && used > ports {
		return fmt.Errorf("%g connections a second leave %d in TIME_WAIT and %d sources have %d ports: "+
			"set net.ipv4.tcp_tw_reuse=1, raise the number of sources, or widen net.ipv4.ip_local_port_range",
			cfg.Rate, used, sources, ports)
	}
	return nil
}

// sourceAddrs are the addresses that connections come from: 127.0.0.2 and up toward an IPv4 loopback target, and one
// of the kernel's choice (the zero Addr) toward any other.
func sourceAddrs(cfg LoadConfig) []netip.Addr {
	if target := cfg.Targets[0].Addr(); !target.Is4() || !target.IsLoopback() {
		return []netip.Addr{{}}
	}
	addrs := make([]netip.Addr, cfg.Sources)
	next := netip.AddrFrom4([4]byte{127, 0, 0, 2})
	for i := range addrs {
		addrs[i], next = next, next.Next()
	}
	return addrs
}
