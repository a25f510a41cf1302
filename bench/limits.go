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
		Waiting:   proc.TimeWaits(),
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

// sysctls are the kernel settings, and the state, that bound how fast new connections can follow each other. An empty
// one is unknown and bounds nothing.
type sysctls struct {
	PortRange string // net.ipv4.ip_local_port_range
	Reuse     string // net.ipv4.tcp_tw_reuse
	Waiting   int    // connections in TIME_WAIT now
}

// timeWait is how long the kernel keeps a closed connection's ports, in seconds (TCP_TIMEWAIT_LEN, include/net/tcp.h).
const timeWait = 60

// checkPorts compares what a load will use up with the ports of its sources. A closed loop without a count has nothing
// to compare with: it counts "no_port" failures if it comes to that. tcp_tw_reuse 1 (or 2, on loopback) frees a port
// after a second.
func checkPorts(cfg LoadConfig, s sysctls) error {
	low, high, ok := strings.Cut(s.PortRange, " ")
	first, err1 := strconv.Atoi(low)
	last, err2 := strconv.Atoi(high)
	if !ok || err1 != nil || err2 != nil {
		return nil
	}
	sources := len(sourceAddrs(cfg))
	ports := (last - first + 1) * sources
	if cfg.Workers > ports && !cfg.arrivals() {
		return fmt.Errorf("%d connections at a time need as many ports and %s %d: raise the number of "+
			"sources, or widen net.ipv4.ip_local_port_range", cfg.Workers, has(sources), ports)
	}
	reused := s.Reuse == "1" || s.Reuse == "2" && cfg.Targets[0].Addr().IsLoopback()
	switch used := cfg.connectionsPerMinute(); {
	case reused || used == 0:
		return nil
	case used > ports:
		return fmt.Errorf("this load leaves up to %d connections in TIME_WAIT, each for a minute, and %s %d ports: "+
			"set net.ipv4.tcp_tw_reuse=1, raise the number of sources, or widen net.ipv4.ip_local_port_range",
			used, has(sources), ports)
	case used+s.Waiting > ports:
		return fmt.Errorf("%d connections of earlier loads are in TIME_WAIT, this one leaves up to %d more, and %s %d ports: "+
			"wait a minute, set net.ipv4.tcp_tw_reuse=1, or raise the number of sources", s.Waiting, used, has(sources), ports)
	}
	return nil
}

func has(sources int) string {
	if sources == 1 {
		return "one source has"
	}
	return fmt.Sprintf("%d sources have", sources)
}

// connectionsPerMinute is how many connections the load ends within any timeWait at the most; 0 if that is not known.
func (cfg *LoadConfig) connectionsPerMinute() int {
	n := cfg.Count
	if cfg.arrivals() {
		seconds := float64(timeWait)
		if cfg.Duration > 0 {
			seconds = min(seconds, (cfg.WarmUp + cfg.Duration).Seconds())
		}
		if byRate := int(cfg.Rate * seconds); n == 0 || byRate < n {
			n = byRate
		}
	}
	return n
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
