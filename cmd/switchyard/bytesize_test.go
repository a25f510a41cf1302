package main

import "testing"

func TestByteSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		out  string
	}{
		{"0", 0, "0"},
		{"100", 100, "100B"},
		{"100B", 100, "100B"},
		{"64KiB", 64 << 10, "64KiB"},
		{"1536KiB", 1536 << 10, "1536KiB"},
		{"512MiB", 512 << 20, "512MiB"},
		{"1024MiB", 1 << 30, "1GiB"},
	} {
		var b byteSize
		if err := b.Set(c.in); err != nil || int64(b) != c.want || b.String() != c.out {
			t.Errorf("%q: got %d, %q, %v; want %d, %q", c.in, int64(b), b.String(), err, c.want, c.out)
		}
	}
	for _, bad := range []string{"", "KiB", "-1", "1.5GiB", "3KB", "9999999999999GiB", "1 KiB"} {
		b := byteSize(7)
		if err := b.Set(bad); err == nil || b != 7 {
			t.Errorf("%q: got %d, %v; want an error and nothing changed", bad, int64(b), err)
		}
	}
}
