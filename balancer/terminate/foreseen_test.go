package terminate

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/route"
)

func TestARefusalIsForeseen(t *testing.T) {
	t.Parallel()
	p, err := NewPolicy(Config{Certificates: oneSource{}, ALPN: []string{"http/1.1", "x-own"}})
	if err != nil {
		t.Fatal(err)
	}
	free, err := NewPolicy(Config{Certificates: oneSource{}})
	if err != nil {
		t.Fatal(err)
	}
	name, err := route.ParseName("a.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		policy     *Policy
		query      route.Query
		cause, why string
	}{
		{"nothing against it", p, route.Query{Name: name}, "", ""},
		{"a dot", p, route.Query{Name: name, Dot: true}, "handshake_fail", "ends with a dot"},
		{"a dot, and protocols", p, route.Query{Name: name, Dot: true, ALPN: route.ProtocolList{"h2"}}, "handshake_fail", "ends with a dot"},
		{"no protocol of ours", p, route.Query{Name: name, ALPN: route.ProtocolList{"h2", "h3"}}, "no_common_protocol", "offers h2, h3; alpn of the route's terminate has http/1.1, x-own"},
		{"one of ours", p, route.Query{Name: name, ALPN: route.ProtocolList{"h2", "http/1.1"}}, "", ""},
		{"a validation", p, route.Query{Name: name, ALPN: route.ProtocolList{"acme-tls/1"}}, "", ""},
		{"a validation that wants more", p, route.Query{Name: name, ALPN: route.ProtocolList{"acme-tls/1", "h2"}}, "no_common_protocol", "acme-tls/1, h2"},
		{"we have none", free, route.Query{Name: name, ALPN: route.ProtocolList{"h2"}}, "", ""},
	} {
		if cause, why := c.policy.Foresee(&c.query); cause != c.cause || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
			t.Errorf("%s: %q, %q; want %q, %q", c.name, cause, why, c.cause, c.why)
		}
	}
}

// What is foreseen of protocols is what comes of a handshake.
func TestProtocolsAreSpokenAsForeseen(t *testing.T) {
	t.Parallel()
	name, err := route.ParseName("a.example.com")
	if err != nil {
		t.Fatal(err)
	}
	source, term := &tardy{cert: testCertificate(t)}, New(Options{})
	lists := [][]string{nil, {"h2"}, {"http/1.1"}, {"h2", "http/1.1"}, {"x"}, {"x", "http/1.1"}, {"h2", "x"}}
	for _, ours := range lists {
		p, err := NewPolicy(Config{Certificates: source, ALPN: ours})
		if err != nil {
			t.Fatal(err)
		}
		for _, offered := range lists {
			client, server := pipe(t)
			ended := make(chan End, 1)
			term.Start(Job{FD: descriptor(t, server), Name: name, Policy: p, Base: time.Now(), Backends: noBackends{}, Done: func(e End) { ended <- e }})
			err := tls.Client(client, &tls.Config{ServerName: "a.example.com", InsecureSkipVerify: true, NextProtos: offered}).Handshake()
			_ = client.Close()
			<-ended
			if (err == nil) != Speaks(ours, offered) {
				t.Errorf("we have %q, %q is offered: %v", ours, offered, err)
			}
		}
	}
	term.Wait()
}
