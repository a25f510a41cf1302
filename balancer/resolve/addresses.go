package resolve

import (
	"net/netip"
	"slices"
)

// maxAddresses is how many addresses one name may stand for. A DNS message over TCP holds some 4000 A records.
const maxAddresses = 64

// metadata are addresses outside the link-local ranges at which clouds hand out credentials to whoever asks.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // Amazon EC2
	netip.MustParseAddr("fd20:ce::254"),    // Google Compute Engine
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
}

// usable returns the addresses that may become backends: sorted, IPv4 first, 4-in-6 addresses as IPv4, once each,
// and of more than maxAddresses the first, which are the same however the answer was ordered. ignored is how many
// others there were.
func usable(addrs []netip.Addr) (good []netip.Addr, ignored int) {
	for _, a := range addrs {
		if a = a.Unmap(); dialable(a) {
			good = append(good, a)
		} else {
			ignored++
		}
	}
	slices.SortFunc(good, netip.Addr.Compare)
	good = slices.Compact(good)
	if over := len(good) - maxAddresses; over > 0 {
		good, ignored = good[:maxAddresses], ignored+over
	}
	return good, ignored
}

// dialable refuses what a name server must not be able to make us connect to: the unspecified address, which
// Linux takes for this machine (all of 0.0.0.0/8, RFC 1122 §3.2.1.3), groups, and link-local and metadata addresses.
// Loopback is allowed: backends on this machine are ordinary, and localhost is a name.
func dialable(a netip.Addr) bool {
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast():
		return false
	case a.Is4() && (a.As4()[0] == 0 || a.As4() == [4]byte{255, 255, 255, 255}):
		return false
	}
	return !slices.Contains(metadata, a.WithZone(""))
}

// completed adds to a partial answer the known addresses of the family it tells nothing of.
func completed(partial, known []netip.Addr) []netip.Addr {
	is4 := func(a netip.Addr) bool { return a.Is4() }
	is6 := func(a netip.Addr) bool { return !a.Is4() }
	four, six := partial, partial
	if !slices.ContainsFunc(partial, is4) {
		four = known
	}
	if !slices.ContainsFunc(partial, is6) {
		six = known
	}
	all := append(slices.DeleteFunc(slices.Clone(four), is6), slices.DeleteFunc(slices.Clone(six), is4)...)
	return all[:min(len(all), maxAddresses)]
}
