package control

import (
	"fmt"
	"strings"
	"testing"
)

// many is a file with n routes and a line that is free to change.
func many(n int, line string) string {
	var b strings.Builder
	b.WriteString(line + "\n" + still + base[:strings.Index(base, "pools:")])
	for i := range n {
		fmt.Fprintf(&b, "  - {name: r%d, hosts: [h%d.example.net], pool: web}\n", i, i)
	}
	b.WriteString(base[strings.Index(base, "pools:"):])
	return b.String()
}

// A change through the API, by the size of the table: it has to cost the same.
func BenchmarkPutRoute(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("%d routes", n), func(b *testing.B) {
			y := start(b, "admin: {state_file: state.json}\n"+many(n, ""))
			pools := []string{"web", "api"}
			i := 0
			for b.Loop() {
				i++
				text := `{hosts: [extra.example.com], pool: ` + pools[i%2] + `}`
				must(b)(y.PutRoute(b.Context(), "extra", []byte(text), as("PUT")))
			}
			y.want(b, "extra.example.com", pools[i%2])
		})
	}
}

// A reload with one changed line: without an overlay, with a route in it, and with one whose name the file has too.
func BenchmarkReload(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		for _, overlay := range []string{"", "extra", "www"} {
			b.Run(fmt.Sprintf("%d routes, overlay %q", n, overlay), func(b *testing.B) {
				y := start(b, many(n, ""))
				if overlay != "" {
					must(b)(y.PutRoute(b.Context(), overlay, []byte(extraRoute), as("PUT")))
				}
				i := 0
				for b.Loop() {
					i++
					b.StopTimer()
					y.write(b, strings.Replace(many(n, fmt.Sprintf("# %d", i)), "h7.", fmt.Sprintf("h7-%d.", i), 1))
					b.StartTimer()
					if r := y.reload(b, ReloadRequest{Origin: OriginSignal}); len(r.Diff.Routes.Changed) != 1 {
						b.Fatal(r.Summary)
					}
				}
			})
		}
	}
}
