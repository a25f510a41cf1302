package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

const small = `listeners:
  - name: public
    bind: ["127.0.0.1:8443"]
routes:
  - name: web
    hosts: [www.example.com]
    pool: web
pools:
  - name: web
    backends: ["127.0.0.1:9101"]
`

func TestASmallFileIsFilledWithDefaults(t *testing.T) {
	t.Parallel()
	got, err := Parse("small.yaml", []byte(small), ".")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Log: Log{Level: slog.LevelInfo, Format: "json", Connections: true},
		Balancer: balancer.Config{
			Listeners: []balancer.ListenerConfig{{
				Name: "public", Bind: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8443")},
				HelloTimeout: 5 * time.Second, HelloMaxSize: 65536,
				NoSNI: route.Action{Reject: route.RejectAlert}, UnknownSNI: route.Action{Reject: route.RejectAlert},
				NotTLS: route.RejectClose,
			}},
			Routes: []route.Route{{
				Name: "web", Hosts: []string{"www.example.com"},
				Action: route.Action{Targets: []route.Target{{Pool: "web", Weight: 1}}},
			}},
			Pools: []pool.Config{{
				Name:           "web",
				Backends:       []pool.BackendConfig{{Addr: netip.MustParseAddrPort("127.0.0.1:9101"), Weight: 1}},
				ConnectTimeout: 3 * time.Second, AnswerTimeout: 5 * time.Second, SetupTimeout: 10 * time.Second, StalledTimeout: 5 * time.Minute, HalfCloseTimeout: time.Minute, Attempts: 3,
				PanicBelow: 50, QueueSize: 1000,
			}},
			Drain: balancer.Drain{Max: 30 * time.Second},
		},
		Reload: Reload{Watch: true},
		File:   "small.yaml", Dir: ".",
	}
	if d := cmp.Diff(want, got, loaded, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("Parse (-want +got):\n%s", d)
	}
}

func TestTheDigestTellsFilesApart(t *testing.T) {
	t.Parallel()
	one, err := Parse("a", []byte(small), ".")
	if err != nil {
		t.Fatal(err)
	}
	same, _ := Parse("b", []byte(small), "/")
	other, _ := Parse("a", []byte(small+"# a comment\n"), ".")
	if one.Digest != same.Digest || one.Digest == other.Digest || len(one.Digest) != 64 {
		t.Errorf("digests %s, %s of the same bytes and %s of others", one.Digest, same.Digest, other.Digest)
	}
}

func TestParseKeepsNothingOfItsInput(t *testing.T) {
	t.Parallel()
	data := []byte(strings.Replace(small, "hosts", "hoosts", 1))
	_, err := Parse("a", data, ".")
	before := err.Error()
	for i := range data {
		data[i] = 'x'
	}
	if after := err.Error(); after != before {
		t.Errorf("the message changed with the input from\n%s\nto\n%s", before, after)
	}
}

func TestErrorsCanBeTakenOutOneByOne(t *testing.T) {
	t.Parallel()
	_, err := Parse("a.yaml", []byte("listeners: 5\npools: x\n"), ".")
	errs, ok := errors.AsType[Errors](err)
	if !ok || len(errs) != 2 {
		t.Fatalf("Parse returned %v", err)
	}
	one, ok := errors.AsType[*Error](err)
	if !ok || one != errs[0] {
		t.Fatalf("errors.AsType found %v", one)
	}
	if one.File != "a.yaml" || one.Line != 1 || one.Col != 12 || one.Source != "listeners: 5" || one.Msg == "" {
		t.Errorf("the first one is %+v", one)
	}
}

func TestTheCaretStandsBelowTheMistake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, line, want string }{
		{"after wide text", `log: {level: "ü", leve: x}`, "                  ^"},
		{"after a tab", "log:\t{leve: x}", "    \t ^"},
		{"after a comment sign", "log: {format: json, leve: x} # comment", "                    ^"},
	} {
		_, err := Parse("a.yaml", []byte(c.line+"\n"+small), ".")
		errs, _ := errors.AsType[Errors](err)
		var e *Error
		for _, one := range errs {
			if strings.Contains(one.Msg, `"leve"`) {
				e = one
			}
		}
		if e == nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		lines := strings.Split(e.Error(), "\n")
		if lines[1] != c.line || lines[2] != c.want {
			t.Errorf("%s:\n%s\nwant the caret line %q", c.name, e.Error(), c.want)
		}
	}
}

func TestAByteOrderMarkIsNoColumn(t *testing.T) {
	t.Parallel()
	_, err := Parse("a.yaml", []byte("\ufefflogg: {}\n"+small), ".")
	if e, ok := errors.AsType[*Error](err); !ok || e.Line != 1 || e.Col != 1 || e.Source != "logg: {}" {
		t.Errorf("Parse returned %v", err)
	}
	if _, err := Parse("a.yaml", []byte("\ufeff"+small), "."); err != nil {
		t.Errorf("a file that starts with a byte order mark is refused: %v", err)
	}
}

func TestAliasesAreBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(small + "  - name: many\n    backends: &all\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "      - 192.0.2.1:%d\n", i+1)
	}
	for i := range 400 {
		fmt.Fprintf(&b, "  - {name: p%d, backends: *all}\n", i)
	}
	_, err := Parse("bomb.yaml", []byte(b.String()), ".")
	if err == nil || !strings.Contains(err.Error(), "aliases stand for more than") {
		t.Errorf("a file of %d bytes for 400 000 backends: %v", b.Len(), err)
	}
	for _, cyclic := range []string{"listeners: &a [*a]\n", "listeners: &a\n  - name: *a\n    no_sni: *a\n", "log: &a {level: *a}\n"} {
		if _, err := Parse("cycle.yaml", []byte(cyclic), "."); err == nil {
			t.Errorf("accepted: %s", cyclic)
		}
	}
}

func TestAnAliasStandsForAWholeValue(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("a.yaml", []byte(strings.Replace(small, `backends: [`, `backends: &b [`, 1)+"  - {name: two, backends: *b}\n"), ".")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(cfg.Balancer.Pools[0].Backends, cfg.Balancer.Pools[1].Backends, loaded); d != "" {
		t.Error(d)
	}
}

func TestAMistakeBehindAnAliasIsReportedOnce(t *testing.T) {
	t.Parallel()
	text := strings.Replace(small, `"127.0.0.1:9101"`, `&b "127.0.0.1"`, 1) + "  - {name: two, backends: [*b]}\n"
	_, err := Parse("a.yaml", []byte(text), ".")
	if errs, _ := errors.AsType[Errors](err); len(errs) != 1 {
		t.Errorf("Parse returned %v", err)
	}
}

func TestALongListOfMistakesEnds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"listeners:\n" + strings.Repeat("- x\n", 5000),                               // seen by the decoder
		strings.ReplaceAll(string(manyNames(5000, 1)), "pool: web", "pool: nowhere"), // seen by the checker
	} {
		_, err := Parse("a.yaml", []byte(text), ".")
		errs, _ := errors.AsType[Errors](err)
		if len(errs) != maxMistakes+1 || !strings.Contains(errs[maxMistakes].Msg, "the rest is not shown") {
			t.Errorf("%d mistakes are reported, the last one of them %v", len(errs), errs[max(len(errs)-1, 0)])
		}
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	t.Parallel()
	for _, open := range []string{"[", "{a: ", "- "} {
		if _, err := Parse("deep.yaml", []byte("listeners:\n  "+strings.Repeat(open, 50_000)), "."); err == nil {
			t.Errorf("50000 times %q is accepted", open)
		}
	}
}

func TestAHugeFileIsRefused(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("# a comment that goes on\n"), 3<<20)
	if _, err := Parse("huge.yaml", data, "."); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("%d bytes: %v", len(data), err)
	}
}

func TestLoadReadsRegularFilesOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "switchyard.yaml")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	if err := os.WriteFile(path, []byte("admin: {socket: run/a}\n"+small), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "run", "a"); cfg.Admin.Socket != want {
		t.Errorf("the socket is %s; want %s, beside the file", cfg.Admin.Socket, want)
	}
}

// R23: whatever the file says, nothing but its own backends becomes a target, and none of those is where no backend can be.
func TestForbiddenBackendsAreRefusedInEverySpelling(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1", "[0:0:0:0:0:0:0:0]:1", "239.1.2.3:1", "[ff02::1]:1", "255.255.255.255:1",
		"169.254.169.254:80", "[::ffff:a9fe:a9fe]:80", "[fd00:ec2::254]:80", "[fd00:0ec2:0:0:0:0:0:254]:80", "2852039166:80",
	} {
		for _, spelling := range []string{`"` + address + `"`, `{address: "` + address + `"}`} {
			text := strings.Replace(small, `"127.0.0.1:9101"`, spelling, 1)
			if _, err := Parse("a.yaml", []byte(text), "."); err == nil {
				t.Errorf("the backend %s is accepted", spelling)
			}
		}
	}
}

// R27, R28: no message ever quotes a key.
func TestNoMessageQuotesAKey(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	key, err := os.ReadFile(filepath.Join(dir, "certs", "a.key"))
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(string(key), "\n")[1]
	for _, pair := range []string{"{cert: certs/a.key, key: certs/a.key}", "{cert: certs/a.key, key: certs/a.crt}", "{cert: certs/b.crt, key: certs/a.key}"} {
		text := strings.Replace(small, "    pool: web", "    pool: web\n    terminate:\n      certificates: ["+pair+"]", 1)
		_, err := Parse("a.yaml", []byte(text), dir)
		if err == nil || strings.Contains(err.Error(), secret[:16]) {
			t.Errorf("%s: %v", pair, err)
		}
	}
}
