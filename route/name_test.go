package route

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	label63 := strings.Repeat("a", 63)
	name253 := strings.Repeat("a.", 126) + "a"
	for _, tt := range []struct {
		what, in, want string
		err            error
	}{
		{"a normal name stays as it is", "api.example.com", "api.example.com", nil},
		{"upper case is lowered", "API.Example.COM", "api.example.com", nil},
		{"one trailing dot is dropped", "api.example.com.", "api.example.com", nil}, // GHSA-hrhx-6h34-j5hc
		{"a single label is a name", "localhost", "localhost", nil},
		{"an underscore is allowed", "_dmarc.example.com", "_dmarc.example.com", nil},
		{"hyphens may stand anywhere", "-a-.b--.com", "-a-.b--.com", nil},
		{"an A-label is a name like any other", "XN--bcher-KVA.example", "xn--bcher-kva.example", nil},
		{"a label of 63 bytes fits", label63 + ".com", label63 + ".com", nil},
		{"253 bytes fit", name253, name253, nil},
		{"253 bytes and a dot fit", name253 + ".", name253, nil},
		{"digits at the front are no address", "1.2.3.4.example", "1.2.3.4.example", nil},
		{"five groups of digits are no address", "1.2.3.4.5", "1.2.3.4.5", nil},
		{"four digits in a group are no address", "1.2.3.4444", "1.2.3.4444", nil},

		{"nothing is no name", "", "", ErrNameEmpty},
		{"the root is no name", ".", "", ErrNameEmpty},
		{"two trailing dots are one too many", "example.com..", "", ErrNameLabel},
		{"an empty label is refused", "a..b", "", ErrNameLabel},
		{"a leading dot is refused", ".example.com", "", ErrNameLabel},
		{"a label of 64 bytes is refused", label63 + "a.com", "", ErrNameLabel},
		{"254 bytes are refused", name253 + "b", "", ErrNameTooLong},
		{"70 000 bytes are refused", strings.Repeat("a.", 35_000), "", ErrNameTooLong}, // CVE-2023-25076
		{"a NUL is refused", "example.com\x00.evil.org", "", ErrNameByte},
		{"a space is refused", "a b.com", "", ErrNameByte},
		{"a line feed is refused", "a\n.com", "", ErrNameByte},
		{"a star is refused", "*.example.com", "", ErrNameByte},
		{"a port is refused", "example.com:443", "", ErrNameByte},
		{"UTF-8 is refused", "bücher.example", "", ErrNameNotASCII},
		{"bytes above 0x7f are refused", "a\xff.com", "", ErrNameNotASCII},
		{"an IPv4 address is refused", "192.0.2.1", "", ErrNameAddress},
		{"an IPv4 address with a trailing dot is refused", "192.0.2.1.", "", ErrNameAddress},
		{"an IPv6 address is refused", "2001:db8::1", "", ErrNameByte},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			fromString, err := ParseName(tt.in)
			if fromString.String() != tt.want || !errors.Is(err, tt.err) || fromString.IsZero() != (err != nil) {
				t.Errorf("ParseName(%q): got %q, %v; want %q, %v", tt.in, fromString, err, tt.want, tt.err)
			}
			if fromBytes, err2 := ParseName([]byte(tt.in)); fromBytes != fromString || err2 != err {
				t.Errorf("ParseName of bytes %q: got %q, %v; of a string %q, %v", tt.in, fromBytes, err2, fromString, err)
			}
		})
	}
}

func TestParseNameAllocatesOnlyItsResult(t *testing.T) {
	normal, mixed, bad := []byte("www.example.com"), []byte("WWW.Example.com."), []byte("www.exa mple.com")
	text := string(normal)
	for _, tt := range []struct {
		what string
		want float64
		f    func()
	}{
		{"normal string", 0, func() { _, _ = ParseName(text) }},
		{"normal bytes", 1, func() { _, _ = ParseName(normal) }},
		{"bytes to lower", 1, func() { _, _ = ParseName(mixed) }},
		{"bad bytes", 0, func() { _, _ = ParseName(bad) }},
	} {
		if got := testing.AllocsPerRun(100, tt.f); got != tt.want {
			t.Errorf("%s: got %v allocations, want %v", tt.what, got, tt.want)
		}
	}
}

func TestNameIsAMapKeyAndJSONText(t *testing.T) {
	t.Parallel()
	seen := map[Name]bool{mustName(t, "API.example.com."): true}
	if !seen[mustName(t, "api.EXAMPLE.com")] {
		t.Error("two spellings of a name are two keys")
	}
	got, err := json.Marshal(map[Name]Name{mustName(t, "A.com"): {}})
	if want := `{"a.com":""}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestRejectAndVerdictWords(t *testing.T) {
	t.Parallel()
	for _, r := range []Reject{RejectAlert, RejectClose, RejectReset} {
		if got, err := ParseReject(r.String()); got != r || err != nil {
			t.Errorf("ParseReject(%q): got %v, %v", r.String(), got, err)
		}
	}
	for _, word := range []string{"", "none", "ALERT", "drop"} {
		if got, err := ParseReject(word); err == nil || got != RejectNone {
			t.Errorf("ParseReject(%q): got %v, %v; want an error", word, got, err)
		}
	}
	got, err := json.Marshal([]any{RejectNone, RejectAlert, RejectClose, RejectReset, Reject(9),
		VerdictRoute, VerdictNoSNI, VerdictUnknownSNI, Verdict(9)})
	want := `["none","alert","close","reset","Reject(9)","route","no_sni","unknown_sni","Verdict(9)"]`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
