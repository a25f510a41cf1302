package file

import (
	"net/netip"
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want time.Duration // < 0: refused
		hint string
	}{
		{"500ms", 500 * time.Millisecond, ""},
		{"1h30m", 90 * time.Minute, ""},
		{"0s", 0, ""},
		{"1.5s", 1500 * time.Millisecond, ""},
		{"0", -1, `did you mean "0s"?`},
		{"5", -1, `did you mean "5s"?`},
		{"2.5", -1, `did you mean "2.5s"?`},
		{"5 s", -1, `did you mean "5s"?`},
		{"5sec", -1, `did you mean "5s"?`},
		{"5 minutes", -1, `did you mean "5m"?`},
		{"100msec", -1, `did you mean "100ms"?`},
		{"2hours", -1, `did you mean "2h"?`},
		{"2d", -1, `did you mean "48h"?`},
		{"99999999999d", -1, "use hours"},
		{"9999999h", -1, "units are ms, s, m and h: 500ms, 5s, 1m30s"}, // more than an int64 of nanoseconds
		{"soon", -1, "units are ms, s, m and h: 500ms, 5s, 1m30s"},
		{"", -1, "units are ms, s, m and h: 500ms, 5s, 1m30s"},
	} {
		got, msg, hint := new(Duration).measure(c.in)
		if ok := msg == ""; ok != (c.want >= 0) || ok && got != int64(c.want) || hint != c.hint {
			t.Errorf("%q: %v, %q, hint %q; want %v, hint %q", c.in, time.Duration(got), msg, hint, c.want, c.hint)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want int64 // < 0: refused
		hint string
	}{
		{"512B", 512, ""},
		{"64KiB", 65536, ""},
		{"1MiB", 1 << 20, ""},
		{"2GiB", 2 << 30, ""},
		{"64", -1, `did you mean "64B"?`},
		{"64KB", -1, `did you mean "64KiB"?`},
		{"64k", -1, `did you mean "64KiB"?`},
		{"64 KiB", -1, `did you mean "64KiB"?`},
		{"1.5KiB", -1, "units are B, KiB and MiB: 64KiB"},
		{"-1KiB", -1, "units are B, KiB and MiB: 64KiB"},
		{"99999999999GiB", -1, `did you mean "99999999999GiB"?`},
	} {
		got, msg, hint := new(Size).measure(c.in)
		if ok := msg == ""; ok != (c.want >= 0) || ok && got != c.want || c.in != "99999999999GiB" && hint != c.hint {
			t.Errorf("%q: %d, %q, hint %q; want %d, hint %q", c.in, got, msg, hint, c.want, c.hint)
		}
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want int64 // in a minute; < 0: refused
		hint string
	}{
		{"50/s", 3000, ""},
		{"30/m", 30, ""},
		{"0/s", 0, ""}, // for the range to refuse
		{"50", -1, `did you mean "50/s"?`},
		{"50 /s", -1, `did you mean "50/s"?`},
		{"50/sec", -1, `did you mean "50/s"?`},
		{"50/ second", -1, `did you mean "50/s"?`},
		{"50 per second", -1, `did you mean "50/s"?`},
		{"50r/s", -1, `did you mean "50/s"?`},
		{"50rps", -1, `did you mean "50/s"?`},
		{"30r/m", -1, `did you mean "30/m"?`},
		{"30/min", -1, `did you mean "30/m"?`},
		{"30 per minute", -1, `did you mean "30/m"?`},
		{"5/h", -1, "write a whole number, and for each second or minute: 50/s, 30/m"},
		{"5/ms", -1, "write a whole number, and for each second or minute: 50/s, 30/m"},
		{"0.5/s", -1, "write a whole number, and for each second or minute: 50/s, 30/m"},
		{"-1/s", -1, "write a whole number, and for each second or minute: 50/s, 30/m"},
		{"many", -1, "write a whole number, and for each second or minute: 50/s, 30/m"},
		{"", -1, "write a whole number, and for each second or minute: 50/s, 30/m"},
		{"9223372036854775807/s", -1, `did you mean "9223372036854775807/s"?`},
	} {
		got, msg, hint := new(Rate).measure(c.in)
		if ok := msg == ""; ok != (c.want >= 0) || ok && got != c.want || c.in != "9223372036854775807/s" && hint != c.hint {
			t.Errorf("%q: %d, %q, hint %q; want %d, hint %q", c.in, got, msg, hint, c.want, c.hint)
		}
	}
}

// CVE-2026-90711, CVE-2026-92395: a mapped network never covers more than the IPv4 network that it writes.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want, hint string // want "": refused
	}{
		{"10.0.0.0/8", "10.0.0.0/8", ""},
		{"0.0.0.0/0", "0.0.0.0/0", ""},
		{"::/0", "::/0", ""},
		{"2001:DB8::/32", "2001:db8::/32", ""},
		{"192.0.2.1/32", "192.0.2.1/32", ""},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8", ""},
		{"::ffff:0:0/96", "0.0.0.0/0", ""},
		{"::ffff:10.0.0.0/8", "", `did you mean "10.0.0.0/8"?`},
		{"::ffff:10.1.2.3/24", "", `did you mean "10.1.2.0/24"?`},
		{"::ffff:0:0/95", "", ""},
		{"::ffff:10.0.0.1/104", "", `did you mean "10.0.0.0/8"?`},
		{"10.1.2.3/8", "", `did you mean "10.0.0.0/8"?`},
		{"10.0.0.1", "", `did you mean "10.0.0.1/32"?`},
		{"::1", "", `did you mean "::1/128"?`},
		{"::ffff:10.0.0.1", "", `did you mean "10.0.0.1/32"?`},
		{"fe80::1%eth0/64", "", "for example 10.0.0.0/8 or 2001:db8::/32"},
		{"10.0.0.0/08", "", "for example 10.0.0.0/8 or 2001:db8::/32"},
		{"10.0.0.0/33", "", "for example 10.0.0.0/8 or 2001:db8::/32"},
		{"10.0.0/8", "", "for example 10.0.0.0/8 or 2001:db8::/32"},
	} {
		got, msg, hint := parsePrefix(c.in)
		if ok := msg == ""; ok != (c.want != "") || ok && got.String() != c.want || hint != c.hint {
			t.Errorf("%q: %v, %q, hint %q; want %q, hint %q", c.in, got, msg, hint, c.want, c.hint)
		}
	}
}

func TestBackendAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, host, addr string // both "": refused
	}{
		{"192.0.2.7:443", "", "192.0.2.7:443"},
		{"[2001:db8::7]:443", "", "[2001:db8::7]:443"},
		{"[::ffff:192.0.2.7]:443", "", "192.0.2.7:443"},
		{"db.example.net:5432", "db.example.net", ""},
		{"DB.Example.NET.:5432", "db.example.net", ""},
		{"_db.example.net:5432", "_db.example.net", ""},
		{"localhost:1", "localhost", ""},
		{"a:65535", "a", ""},
		{"a:0", "", ""}, {"a:65536", "", ""}, {"a:+1", "", ""}, {"a:01", "", ""}, {"a:", "", ""}, {":1", "", ""}, {"a", "", ""},
		{"2001:db8::7", "", ""}, {"[2001:db8::7]", "", ""}, {"[a]:1", "", ""}, {"[::1:1", "", ""}, {"::1]:1", "", ""},
		{"1.2.3:1", "", ""}, {"1.2.3.4.:1", "", ""}, {"0x7f000001:1", "0x7f000001", ""}, {"2130706433:1", "", ""},
		{"a b:1", "", ""}, {"a/b:1", "", ""}, {"ä.example:1", "", ""}, {"-a:1", "", ""}, {"a-:1", "", ""}, {"a..b:1", "", ""}, {".:1", "", ""},
		{"[fe80::1%lo]:1", "", ""}, {"user@host:1", "", ""}, {"tcp://a:1", "", ""},
	} {
		got, msg, _ := parseTarget(c.in)
		addr := ""
		if got.Addr.Addr().IsValid() {
			addr = got.Addr.String()
		}
		if ok := msg == ""; ok != (c.host+c.addr != "") || ok && (got.Host != c.host || addr != c.addr) {
			t.Errorf("%q: host %q, address %q, %q; want host %q, address %q", c.in, got.Host, addr, msg, c.host, c.addr)
		}
	}
}

func TestForbiddenSaysWhy(t *testing.T) {
	t.Parallel()
	for in, forbidden := range map[string]bool{
		"0.0.0.0": true, "::": true, "::ffff:0.0.0.0": true, "224.0.0.1": true, "ff02::1": true, "255.255.255.255": true,
		"169.254.169.254": true, "::ffff:169.254.169.254": true, "fd00:ec2::254": true,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "169.254.1.1": false, "fe80::1": false,
	} {
		if why := Forbidden(netip.MustParseAddr(in)); (why != "") != forbidden {
			t.Errorf("%s: %q", in, why)
		}
	}
}
