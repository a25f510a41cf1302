package main

import "testing"

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"config", "config", 0}, {"config", "confg", 1}, {"config", "conifg", 2}, {"", "sni", 3}, {"sni", "", 3}, {"alpn", "client", 4},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
