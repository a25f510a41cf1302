package bench

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPortsAreCheckedBeforeTheRun(t *testing.T) {
	near := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:443")}
	far := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:443")}
	small := sysctls{PortRange: "32768 33767", Reuse: "2"} // 1 000 ports
	for _, test := range []struct {
		name string
		cfg  LoadConfig
		sys  sysctls
		want string // in the error; empty: none
	}{
		{"ports enough", LoadConfig{Targets: near, Workers: 1000, Sources: 1, Rate: 10}, small, ""},
		{"more connections than ports", LoadConfig{Targets: near, Workers: 1001, Sources: 1}, small, "raise the number of sources"},
		{"each source has its own ports", LoadConfig{Targets: near, Workers: 1001, Sources: 2}, small, ""},
		{"reuse on loopback frees them in a second", LoadConfig{Targets: near, Sources: 1, Rate: 500}, small, ""},
		{"elsewhere they wait a minute", LoadConfig{Targets: far, Sources: 16, Rate: 500}, small, "tcp_tw_reuse=1"},
		{"reuse everywhere", LoadConfig{Targets: far, Rate: 500}, sysctls{PortRange: small.PortRange, Reuse: "1"}, ""},
		{"no reuse", LoadConfig{Targets: near, Sources: 2, Rate: 500}, sysctls{PortRange: small.PortRange, Reuse: "0"}, "tcp_tw_reuse=1"},
		{"a short load", LoadConfig{Targets: far, Rate: 500, Duration: time.Second}, small, ""},
		{"a short load after others", LoadConfig{Targets: far, Rate: 500, Duration: time.Second}, sysctls{small.PortRange, "2", 900}, "wait a minute"},
		{"a closed loop of more than the ports", LoadConfig{Targets: far, Workers: 4, Count: 5000}, small, "tcp_tw_reuse=1"},
		{"a closed loop without a count", LoadConfig{Targets: far, Workers: 4, Duration: time.Hour}, small, ""},
		{"messages use no ports", LoadConfig{Mode: ModeRoundTrip, Targets: far, Workers: 4, Rate: 1e6}, small, ""},
		{"an unknown range bounds nothing", LoadConfig{Targets: near, Workers: 1e6, Sources: 1}, sysctls{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := checkPorts(test.cfg, test.sys)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestDescriptorsAreCheckedBeforeTheRun(t *testing.T) {
	if err := needDescriptors("a test", 1<<40); err == nil || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("error %v, want one that says what to change", err)
	}
	if err := needDescriptors("a test", 3); err != nil {
		t.Error(err)
	}
}

func TestSourcesSpreadOverLoopback(t *testing.T) {
	for target, want := range map[string]string{"127.0.0.1:1": "127.0.0.2", "[::1]:1": "invalid IP", "192.0.2.1:1": "invalid IP"} {
		got := sourceAddrs(LoadConfig{Targets: []netip.AddrPort{netip.MustParseAddrPort(target)}, Sources: 3})
		if got[0].String() != want {
			t.Errorf("sources toward %s: %v", target, got)
		}
	}
}
