package resolve

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestUsable(t *testing.T) {
	tests := []struct {
		name, answer, want string
		ignored            int
	}{
		{"sorted, IPv4 first", "2001:db8::1 10.0.0.2 10.0.0.1", "10.0.0.1 10.0.0.2 2001:db8::1", 0},
		{"once each", "10.0.0.1 10.0.0.1", "10.0.0.1", 0},
		{"4-in-6 is IPv4", "::ffff:10.0.0.1 10.0.0.1", "10.0.0.1", 0},
		{"this machine by name", "127.0.0.1 ::1", "127.0.0.1 ::1", 0},
		{"unspecified", "0.0.0.0 :: ::ffff:0.0.0.0", "", 3},
		{"all of 0.0.0.0/8", "0.1.2.3", "", 1},
		{"multicast", "224.0.0.1 ff02::1 239.255.255.255", "", 3},
		{"broadcast", "255.255.255.255", "", 1},
		{"link-local, the metadata service in it", "169.254.169.254 169.254.170.2 fe80::1", "", 3},
		{"metadata services elsewhere", "fd00:ec2::254 fd20:ce::254 100.100.100.200 ::ffff:169.254.169.254", "", 4},
		{"their neighbours are ordinary", "fd00:ec2::253 100.100.100.201", "100.100.100.201 fd00:ec2::253", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			good, ignored := usable(addrs(test.answer))
			diff(t, test.answer, addrs(test.want), good)
			diff(t, "ignored", test.ignored, ignored)
		})
	}
	if good, ignored := usable(make([]netip.Addr, 3)); len(good) != 0 || ignored != 3 {
		t.Errorf("the zero Addr: %v, %d ignored", good, ignored)
	}
}

// CVE-2026-123634: a forged or foolish answer cannot make a pool grow without bound.
func TestAnswersAreCapped(t *testing.T) {
	var list, want []string
	for i := range 4000 {
		list = append(list, fmt.Sprintf("10.0.%d.%d", (3999-i)/250, (3999-i)%250))
	}
	for i := range maxAddresses {
		want = append(want, fmt.Sprintf("10.0.0.%d", i))
	}
	good, ignored := usable(addrs(strings.Join(list, " ")))
	diff(t, "the first ones stay", addrs(strings.Join(want, " ")), good)
	diff(t, "ignored", 4000-maxAddresses, ignored)
}
