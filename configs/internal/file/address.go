package file

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Bind is an address to accept on; an AddrPort with the zero Addr means both families.
type Bind struct {
	At
	V netip.AddrPort
}

func (t *Bind) decode(d *decoder, n *yaml.Node, _ *key) {
	if portOnly(d, n, "") {
		return
	}
	if v, ok := parsed(d, n, parseBind); ok {
		t.At, t.V = d.place(n), v
	}
}

// portOnly notes the mistake of a port alone, which YAML reads as a number.
func portOnly(d *decoder, n *yaml.Node, host string) bool {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		return false
	}
	d.add(d.place(n), didYouMean(host+":"+n.Value), "%s must be an address with a port, not %s", d.here(), describe(n))
	return true
}

func parseBind(s string) (netip.AddrPort, string, string) {
	if port, ok := strings.CutPrefix(s, ":"); ok && !strings.Contains(port, ":") {
		n, msg := parsePort(port, 0)
		return netip.AddrPortFrom(netip.Addr{}, n), msg, ""
	}
	if port, ok := strings.CutPrefix(s, "*:"); ok {
		return netip.AddrPort{}, quote(s) + " is no address", didYouMean(":" + port)
	}
	return parseEndpoint(s)
}

// Endpoint is an IP address and a port to accept on.
type Endpoint struct {
	At
	V netip.AddrPort
}

func (t *Endpoint) decode(d *decoder, n *yaml.Node, _ *key) {
	if portOnly(d, n, "127.0.0.1") {
		return
	}
	v, ok := parsed(d, n, func(s string) (netip.AddrPort, string, string) {
		if strings.HasPrefix(s, ":") {
			return netip.AddrPort{}, quote(s) + " has no address", didYouMean("127.0.0.1" + s)
		}
		return parseEndpoint(s)
	})
	if ok {
		t.At, t.V = d.place(n), v
	}
}

// parseEndpoint reads an IP address and a port; port 0 is left to the kernel.
func parseEndpoint(s string) (v netip.AddrPort, msg, hint string) {
	host, port, msg, hint := splitPort(s)
	if msg != "" {
		return v, msg, hint
	}
	n, msg := parsePort(port, 0)
	if msg != "" {
		return v, msg, ""
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil && strings.EqualFold(host, "localhost"):
		return v, quote(host) + " is no IP address", didYouMean("127.0.0.1:" + port)
	case err != nil:
		return v, quote(host) + " is no IP address", "names are not resolved here"
	case addr.Zone() != "":
		return v, quote(s) + " has a zone, which is not supported", ""
	case addr.IsMulticast():
		return v, quote(s) + " is a multicast address", ""
	case addr.Is4In6():
		return v, quote(s) + " is an IPv4 address in IPv6 form", didYouMean(netip.AddrPortFrom(addr.Unmap(), n).String())
	}
	return netip.AddrPortFrom(addr, n), "", ""
}

// Address is an IP address without a port.
type Address struct {
	At
	V netip.Addr
}

func (t *Address) decode(d *decoder, n *yaml.Node, _ *key) {
	v, ok := parsed(d, n, func(s string) (netip.Addr, string, string) {
		addr, err := netip.ParseAddr(s)
		switch {
		case err != nil:
			return addr, quote(s) + " is no IP address", ""
		case addr.IsUnspecified(), addr.IsMulticast(), addr.Zone() != "":
			return addr, quote(s) + " is no address to connect from", ""
		}
		return addr.Unmap(), "", ""
	})
	if ok {
		t.At, t.V = d.place(n), v
	}
}

// Prefix is a network. IPv4-mapped networks are given as the IPv4 network they cover.
type Prefix struct {
	At
	V netip.Prefix
}

func (t *Prefix) decode(d *decoder, n *yaml.Node, _ *key) {
	if v, ok := parsed(d, n, parsePrefix); ok {
		t.At, t.V = d.place(n), v
	}
}

// mappedBits is the length of ::ffff:0:0/96, the network of all IPv4-mapped addresses (RFC 4291 §2.5.5.2).
const mappedBits = 96

// parsePrefix reads a network. A list of trusted peers that says ::ffff:10.0.0.0/8 means ten and would, read to the
// letter, cover all of IPv4; it is refused.
func parsePrefix(s string) (p netip.Prefix, msg, hint string) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			return p, quote(s) + " has no prefix length", didYouMean(netip.PrefixFrom(addr, addr.BitLen()).String())
		}
		return p, quote(s) + " is no network", "for example 10.0.0.0/8 or 2001:db8::/32"
	}
	if addr := p.Addr(); addr.Is4In6() {
		if p.Bits() < mappedBits {
			msg = fmt.Sprintf("%s would cover more than IPv4: a mapped network has at least %d bits", quote(s), mappedBits)
			if p.Bits() <= 32 {
				hint = didYouMean(netip.PrefixFrom(addr.Unmap(), p.Bits()).Masked().String())
			}
			return p, msg, hint
		}
		p = netip.PrefixFrom(addr.Unmap(), p.Bits()-mappedBits)
	}
	if p != p.Masked() {
		return p, quote(s) + " has bits set after its prefix", didYouMean(p.Masked().String())
	}
	return p, "", ""
}

// Target is the address of a backend: a name, or an IP address, with a port; or a service, whose SRV records have both.
type Target struct {
	At
	Host    string         // lower case, no trailing dot; empty when Addr holds the address
	Service string         // the same for the name of a service
	Addr    netip.AddrPort // only the port counts when Host is set
}

func (t *Target) decode(d *decoder, n *yaml.Node, _ *key) {
	if portOnly(d, n, "127.0.0.1") {
		return
	}
	if v, ok := parsed(d, n, parseTarget); ok {
		t.At, t.Host, t.Service, t.Addr = d.place(n), v.Host, v.Service, v.Addr
	}
}

// ParseTarget reads the address of a backend that comes from elsewhere than a text; msg says what is wrong with it.
func ParseTarget(s string) (t Target, msg, hint string) {
	if s == "" {
		return t, "it is empty", "write host:port, or [v6]:port"
	}
	return parseTarget(s)
}

func parseTarget(s string) (t Target, msg, hint string) {
	if name, ok := strings.CutPrefix(s, "srv:"); ok && strings.Contains(name, ".") {
		t.Service, msg, hint = parseService(name)
		return t, msg, hint
	}
	host, port, msg, hint := splitPort(s)
	if msg != "" {
		return t, msg, hint
	}
	n, msg := parsePort(port, 1)
	if msg != "" {
		return t, msg, ""
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		host, msg, hint = parseHost(host)
		return Target{Host: host, Addr: netip.AddrPortFrom(netip.Addr{}, n)}, msg, hint
	}
	if addr.Zone() != "" {
		return t, quote(s) + " has a zone, which is not supported", ""
	}
	if why := Forbidden(addr); why != "" {
		return t, quote(s) + " is " + why + ": no backend can be there", ""
	}
	return Target{Addr: netip.AddrPortFrom(addr.Unmap(), n)}, "", ""
}

// parseService checks the name of a service, "_https._tcp.example.net" (RFC 2782).
func parseService(s string) (name, msg, hint string) {
	if strings.Contains(s, ":") {
		return "", quote("srv:"+s) + " has a port", "the records of a service have it"
	}
	if name, msg, hint = parseHost(s); msg != "" {
		return "", msg, hint
	}
	labels := strings.Split(name, ".")
	if len(labels) < 3 || labels[0][0] != '_' || labels[1][0] != '_' {
		return "", quote("srv:"+s) + " is no name of a service", "for example srv:_https._tcp.example.net"
	}
	return name, "", ""
}

// metadata are the addresses at which clouds tell a machine its own secrets.
var metadata = []netip.Addr{netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("fd00:ec2::254")}

// Forbidden says why addr cannot be a backend; "" if it can.
func Forbidden(addr netip.Addr) string {
	addr = addr.Unmap()
	switch {
	case addr.IsUnspecified():
		return "the unspecified address"
	case addr.IsMulticast():
		return "a multicast address"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	case addr == metadata[0] || addr == metadata[1]:
		return "the metadata service of the cloud"
	}
	return ""
}

// splitPort splits host:port and [v6]:port.
func splitPort(s string) (host, port, msg, hint string) {
	i := strings.LastIndexByte(s, ':')
	switch {
	case strings.Contains(s, "://"):
		_, rest, _ := strings.Cut(s, "://")
		return "", "", quote(s) + " is a URL", "write host:port: " + strings.TrimRight(rest, "/")
	case strings.HasSuffix(s, "]") || i < 0 || strings.Count(s, ":") > 1 && s[0] != '[':
		if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
			return "", "", quote(s) + " has no port", didYouMean(netip.AddrPortFrom(addr, 443).String())
		}
		return "", "", quote(s) + " has no port", "write host:port, or [v6]:port"
	}
	host, port = s[:i], s[i+1:]
	if strings.HasPrefix(host, "[") != strings.HasSuffix(host, "]") || strings.Count(host, "[") > 1 {
		return "", "", quote(s) + " has unbalanced brackets", "write host:port, or [v6]:port"
	}
	if strings.HasPrefix(host, "[") {
		host = host[1 : len(host)-1]
		if !strings.Contains(host, ":") {
			return "", "", quote(s) + ": brackets are for IPv6 addresses", didYouMean(host + ":" + port)
		}
	}
	return host, port, "", ""
}

// parsePort reads a port of at least lowest.
func parsePort(s string, lowest uint16) (port uint16, msg string) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || uint16(n) < lowest || len(s) > 1 && s[0] == '0' || strings.HasPrefix(s, "+") {
		return 0, fmt.Sprintf("%s is no port: ports are %d to 65535", quote(s), lowest)
	}
	return uint16(n), ""
}

// parseHost checks a DNS name to resolve and returns it in lower case without a trailing dot. An underscore is allowed, as in
// names of services.
func parseHost(s string) (host, msg, hint string) {
	host = strings.ToLower(strings.TrimSuffix(s, "."))
	labels := strings.Split(host, ".")
	if last := labels[len(labels)-1]; last != "" && strings.Trim(last, "0123456789") == "" {
		return "", quote(s) + " is neither an IP address nor a name", ""
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", quote(s) + " is no host name", ""
		}
	}
	if len(host) > 253 {
		return "", quote(s) + " is longer than a host name may be", ""
	}
	return host, "", ""
}
