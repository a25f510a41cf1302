package configs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

// Very many routes may share a wildcard certificate: a look at each is not a look at all the others, be they of one ca, of
// one each, or elsewhere.
func TestRoutesOfOneCertificateAreComparedInReasonableTime(t *testing.T) {
	t.Parallel()
	const n, most = 15_000, maxMistakes + 1 // with one that says how many there are besides
	dir := certificates(t)
	text := strings.Replace(small, "    pool: web", "    pool: web\n    terminate: {certificates: [{cert: certs/www.crt, key: certs/www.key}], alpn: [h2]}", 1)
	cfg, err := Parse("a.yaml", []byte(text), dir)
	if err != nil {
		t.Fatal(err)
	}
	policy := cfg.Balancer.Routes[0].Terminate
	names := terminate.SetOf(policy).Pairs()[0].Names
	name := names[0]
	_, parent, _ := strings.Cut(name, ".")
	names[0] = "*." + parent // as if it were for all of them
	for _, c := range []struct {
		name      string
		ca        func(i int) string
		listeners func(i int) []string
		warnings  int
	}{
		{"one ca", func(int) string { return "ca.pem" }, func(int) []string { return nil }, 0},
		{"one each", func(i int) string { return fmt.Sprint(i, ".pem") }, func(int) []string { return nil }, n},
		{"elsewhere", func(i int) string { return fmt.Sprint(i%2, i*(i%2), ".pem") }, func(i int) []string { return []string{fmt.Sprint(i % 2)} }, n / 2},
	} {
		var b strings.Builder
		b.WriteString("routes:\n")
		made := make([]route.Route, n)
		for i := range made {
			fmt.Fprintf(&b, "  - {name: r%d, hosts: [h%d.%s], pool: web, terminate: {certificates: [{cert: certs/www.crt, key: k}], alpn: [h2], client_auth: {ca: %s}}}\n", i, i, parent, c.ca(i))
			made[i] = route.Route{Hosts: []string{fmt.Sprint("h", i, ".", parent)}, Listeners: c.listeners(i), Terminate: policy}
		}
		f, _ := file.Read([]byte(b.String()))
		check, took := &checker{}, time.Hour
		for try := 0; took > 5*time.Second && try < 3; try++ { // a fraction of that, unless each route is held against each, or the machine is busy
			check = &checker{dir: dir}
			start := time.Now()
			check.covering(f.Routes, made)
			took = time.Since(start)
		}
		if took > 5*time.Second {
			t.Errorf("%s: %v for %d routes", c.name, took, n)
		}
		if len(check.warnings) != min(c.warnings, most) {
			t.Errorf("%s: %d warnings, want %d", c.name, len(check.warnings), c.warnings)
		}
	}
}
