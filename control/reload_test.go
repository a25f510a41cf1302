package control

import (
	"context"
	"crypto/x509"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/configs"
)

const toSpare = still + `listeners:
  - {name: public, bind: ["127.0.0.1:0"]}
routes:
  - {name: www, hosts: [www.example.com], pool: spare}
  - {name: new, hosts: [new.example.com], pool: web}
pools:
  - {name: web, backends: ["127.0.0.1:9101", "127.0.0.1:9105"]}
  - {name: spare, backends: ["127.0.0.1:9104"]}
`

func TestReloadMakesTheFileWhatRuns(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	y.want(t, "www.example.com", "web")
	y.write(t, toSpare)
	r := y.reload(t, ReloadRequest{Origin: "POST /v1/reload"})
	y.want(t, "www.example.com", "spare")
	y.want(t, "new.example.com", "web")
	y.want(t, "api.example.com", "reject")
	if r.Revision != 2 || !r.Changed || r.DryRun || r.Effects != nil {
		t.Errorf("result %+v", r)
	}
	const summary = "1 route added, 1 removed, 1 changed; pool web: +1 -1 backends; pool api removed"
	if r.Summary != summary {
		t.Errorf("summary %q; want %q", r.Summary, summary)
	}
	lines := y.lines(t, msgChanged)
	if len(lines) != 1 || lines[0]["level"] != "INFO" || lines[0]["summary"] != summary || lines[0]["revision"] != 2.0 {
		t.Fatalf("log: %v", lines)
	}
	if d := cmp.Diff([]any{"new"}, lines[0]["routes_added"]); d != "" {
		t.Errorf("routes_added: %s", d)
	}
	st := y.Status()
	if st.Revision != 2 || st.Origin != "POST /v1/reload" || st.FileDiffers || !st.LastReload.OK || st.Reloads[resultApplied] != 1 {
		t.Errorf("status %+v", st)
	}
	if run := y.Running(); run.Text != toSpare || run.Digest != st.Digest || run.Revision != 2 {
		t.Errorf("running %+v", run)
	}
}

func TestEqualContentIsNoReload(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	y.write(t, still+base)
	r := y.reload(t, ReloadRequest{Origin: OriginSignal})
	if r.Changed || r.Revision != 1 || r.Summary != "unchanged" {
		t.Errorf("result %+v", r)
	}
	if n := len(y.lines(t, msgChanged)); n != 0 {
		t.Errorf("%d lines about a change", n)
	}
	if st := y.Status(); st.Reloads[resultUnchanged] != 1 || len(st.Revisions) != 1 {
		t.Errorf("status %+v", st)
	}
}

// Who asks for a reload that changes nothing wants tried again what has failed; the watcher, a dry run and a reload that changes
// something do not.
func TestAReloadOfWhatRunsHasThingsTriedAgain(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	calls, says := 0, ""
	y.Manager.tryAgain = func() string { calls++; return says }
	for _, c := range []struct {
		name, text string
		req        ReloadRequest
		says       string
		calls      int
		summary    string
	}{
		{"there is nothing", still + base, ReloadRequest{Origin: OriginSignal}, "", 1, "unchanged"},
		{"there is", still + base, ReloadRequest{Origin: "POST /v1/reload"}, "two of them", 1, "unchanged: two of them"},
		{"a dry run", still + base, ReloadRequest{Origin: "POST /v1/reload", DryRun: true}, "two of them", 0, "unchanged"},
		{"the watcher", still + base, ReloadRequest{Origin: OriginWatch}, "two of them", 0, "unchanged"},
		{"a change", toSpare, ReloadRequest{Origin: OriginSignal}, "two of them", 0, "1 route added, 1 removed, 1 changed; pool web: +1 -1 backends; pool api removed"},
	} {
		calls, says = 0, c.says
		y.write(t, c.text)
		if r := y.reload(t, c.req); r.Summary != c.summary || calls != c.calls {
			t.Errorf("%s: %d calls, %q; want %d, %q", c.name, calls, r.Summary, c.calls, c.summary)
		}
	}
}

// contents are the authorities of a file that is read by reloads alone: two are the same if the file held the same.
type contents string

func (contents) Authorities() *x509.CertPool { return x509.NewCertPool() }
func (c contents) Equal(other any) bool      { return other == any(c) }

// A reload that somebody asks for reads the files that the text names, too, and that are not followed.
func TestAReloadOfTheSameTextTakesOtherAuthorities(t *testing.T) {
	t.Parallel()
	ca := selfSigned(t, "ca.example.com")
	y := start(t, still+base+"  - {name: secure, backends: [\"127.0.0.1:9105\"], health: {type: tls, sni: a.example.com, verify: ca, ca: "+ca+"}}\n")
	parse := y.parseFile
	y.parseFile = func(p *configs.Progress, name string, data []byte, dir string, entries []configs.Entry) (*configs.Config, error) {
		cfg, err := parse(p, name, data, dir, entries)
		if err == nil {
			text, _ := os.ReadFile(ca)
			cfg.Balancer.Pools[3].Health.CA = contents(text)
		}
		return cfg, err
	}
	y.reload(t, ReloadRequest{Origin: OriginSignal}) // from the file that is followed to one that is not
	again := func(req ReloadRequest, want string) {
		t.Helper()
		if r := y.reload(t, req); r.Summary != want {
			t.Errorf("%+v: %q; want %q", req, r.Summary, want)
		}
	}
	again(ReloadRequest{Origin: OriginSignal}, "unchanged")
	const other = "pool secure: health"
	if err := os.Rename(selfSigned(t, "other.example.com"), ca); err != nil {
		t.Fatal(err)
	}
	again(ReloadRequest{Origin: OriginWatch}, "unchanged")
	again(ReloadRequest{Origin: "POST /v1/reload", DryRun: true}, other)
	again(ReloadRequest{Origin: "POST /v1/reload"}, other)
	again(ReloadRequest{Origin: OriginSignal}, "unchanged")
	if st := y.Status(); st.Revision != 3 || st.Reloads[resultApplied] != 2 || st.FileDiffers {
		t.Errorf("status %+v", st)
	}
	// What the file held before is kept nowhere: there is nothing to go back to, and the hint says what to do.
	back, err := y.Rollback(t.Context(), 0, "POST /v1/rollback")
	if e := refusal[*NotFoundError](t, back, err); !strings.HasPrefix(e.Hint, "kept are 1 to 3, and all have the text that runs") {
		t.Errorf("hint %q", e.Hint)
	}
	if err := os.Remove(ca); err != nil {
		t.Fatal(err)
	}
	r, err := y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal})
	if e := refusal[*RefusedError](t, r, err); !strings.Contains(e.Mistakes[0].Message, "ca: ") {
		t.Errorf("mistakes %+v", e.Mistakes)
	}
}

func TestAReloadThatNobodyWaitsForAnyMoreIsLeftToTheWatcher(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	y.write(t, toSpare)
	hold, err := y.server.PrepareState(t.Context(), y.server.State()) // so that the next one waits
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // in which the file is read on a busy machine, too
	defer cancel()
	if r, err := y.Reload(ctx, ReloadRequest{Origin: "POST /v1/reload"}); err != context.DeadlineExceeded {
		t.Fatalf("%+v, %v", r, err)
	}
	hold.Abort()
	if st := y.Status(); st.Reloads[resultRefused] != 0 || !st.LastReload.OK || !st.FileDiffers {
		t.Errorf("status %+v", st)
	}
	if r := y.reload(t, ReloadRequest{Origin: OriginWatch}); !r.Changed {
		t.Error("the watcher takes the file for one that was loaded")
	}
}

func TestAMistakeChangesNothingAndIsLoggedOnce(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	y.write(t, strings.ReplaceAll(still+base, "pool: ", "pol: "))
	r, err := y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal})
	e := refusal[*RefusedError](t, r, err)
	if len(e.Mistakes) < 2 || e.Mistakes[0].Line != 5 || !strings.HasPrefix(e.Mistakes[0].Text, y.path+":5:") {
		t.Errorf("mistakes %+v", e.Mistakes)
	}
	y.want(t, "www.example.com", "web")
	lines := y.lines(t, msgRefused)
	if len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["more_mistakes"] != float64(len(e.Mistakes)-1) ||
		!strings.HasPrefix(lines[0]["error"].(string), y.path+":5:") {
		t.Errorf("log: %v", lines)
	}
	st := y.Status()
	if st.Revision != 1 || st.LastReload.OK || st.LastReload.Error != err.Error() || st.Reloads[resultRefused] != 1 || !st.FileDiffers {
		t.Errorf("status %+v", st)
	}
	r, err = y.Reload(t.Context(), ReloadRequest{Origin: OriginWatch})
	if err != nil || r.Changed {
		t.Errorf("the watcher finds the same mistake: %+v, %v", r, err)
	}
	if n := len(y.lines(t, msgRefused)); n != 1 {
		t.Errorf("%d lines about one mistake", n)
	}
	y.write(t, still+base)
	y.reload(t, ReloadRequest{Origin: OriginWatch})
	if st := y.Status(); !st.LastReload.OK || st.FileDiffers {
		t.Errorf("after the file was put right: %+v", st)
	}
}

func TestAFileThatIsGoneOrEmptyIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string) error
		want string
	}{
		{"missing", func(_ *testing.T, p string) error { return os.Remove(p) }, "no such file"},
		{"empty", func(_ *testing.T, p string) error { return os.Truncate(p, 0) }, "empty"},
		{"a directory", func(_ *testing.T, p string) error {
			if err := os.Remove(p); err != nil {
				return err
			}
			return os.Mkdir(p, 0o700)
		}, "not a regular file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			y := start(t, still+base)
			if err := c.make(t, y.path); err != nil {
				t.Fatal(err)
			}
			r, err := y.Reload(t.Context(), ReloadRequest{Origin: "POST /v1/reload"})
			e := refusal[*RefusedError](t, r, err)
			if !strings.Contains(e.Error(), c.want) || len(e.Mistakes) != 1 {
				t.Errorf("error %v; want %q in it", e, c.want)
			}
			y.want(t, "www.example.com", "web")
			if !y.Status().FileDiffers {
				t.Error("file_differs is false")
			}
		})
	}
}

func TestADryRunSaysWhatWouldChangeAndChangesNothing(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	y.write(t, toSpare)
	before := y.Status()
	r := y.reload(t, ReloadRequest{Origin: "POST /v1/reload", DryRun: true})
	if !r.DryRun || !r.Changed || r.Revision != 1 || r.Effects == nil || len(r.Diff.Routes.Added) != 1 {
		t.Errorf("result %+v", r)
	}
	after := y.Status()
	if !after.FileDiffers {
		t.Error("the file on disk was seen, and file_differs is false")
	}
	after.FileDiffers = before.FileDiffers
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("a dry run left a trace (-before +after):\n%s", d)
	}
	y.want(t, "www.example.com", "web")
	if r := y.reload(t, ReloadRequest{Origin: OriginWatch}); !r.Changed {
		t.Error("after a dry run the watcher takes the file for one that was loaded")
	}
}

func TestCheckComparesAnotherTextWithWhatRuns(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	must(t)(y.PutRoute(t.Context(), "extra", []byte(`{hosts: [extra.example.com], pool: web}`), as("PUT /v1/routes/extra")))
	for _, c := range []struct {
		name string
		drop bool
		text string
		want string
	}{
		{"with the overlay", false, still + base + "# same\n", "nothing changed"},
		{"without the overlay", true, still + base, "1 route removed"},
		{"what runs", false, still + base, "unchanged"},
	} {
		r, err := y.Check(t.Context(), CheckRequest{Name: "other.yaml", Text: []byte(c.text), DropOverlay: c.drop})
		if err != nil || r.Summary != c.want || !r.DryRun || r.Revision != 2 {
			t.Errorf("%s: %+v, %v; want %q", c.name, r, err, c.want)
		}
	}
	r, err := y.Check(t.Context(), CheckRequest{Name: "other.yaml", Text: []byte("routes: 7\n")})
	if e := refusal[*RefusedError](t, r, err); e.Mistakes[0].File != "other.yaml" {
		t.Errorf("mistakes %+v", e.Mistakes)
	}
	if st := y.Status(); st.Revision != 2 || st.Reloads[resultRefused] != 0 || len(y.lines(t, msgRefused)) != 0 {
		t.Errorf("a check left a trace: %+v", st)
	}
}

func TestOptionsOfTheProcess(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	y.write(t, "admin: {listen: \"127.0.0.1:0\", socket: a.sock}\nlog: {level: debug, format: text, connections: false}\n"+still+base)
	r := y.reload(t, ReloadRequest{Origin: OriginSignal})
	if d := cmp.Diff([]string{"admin.listen", "admin.socket", "log.format"}, r.NeedsRestart); d != "" {
		t.Errorf("needs_restart: %s", d)
	}
	if want := "log.level, log.connections changed"; r.Summary != want {
		t.Errorf("summary %q; want %q", r.Summary, want)
	}
	if l := y.level.Level(); l != slog.LevelDebug {
		t.Errorf("level %v", l)
	}
	if line := y.lines(t, msgChanged); len(line) != 1 || line[0]["needs_restart"] == nil {
		t.Errorf("log: %v", line)
	}
}

func TestRouteTestsGuardTheFileAndEveryEdit(t *testing.T) {
	t.Parallel()
	const tests = "tests: [{sni: www.example.com, expect: {pool: web}}]\n"
	y := start(t, still+tests+base)
	r, err := y.PutRoute(t.Context(), "www", []byte(`{hosts: [www.example.com], pool: api}`), as("PUT /v1/routes/www"))
	e := refusal[*RefusedError](t, r, err)
	if m := e.Mistakes[0]; m.Line != 2 || m.File != y.path || e.Hint == "" {
		t.Errorf("mistakes %+v, hint %q", e.Mistakes, e.Hint)
	}
	y.want(t, "www.example.com", "web")
	y.write(t, tests+toSpare)
	r, err = y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal})
	refusal[*RefusedError](t, r, err)
	y.want(t, "www.example.com", "web")
	if st := y.Status(); st.Revision != 1 || len(st.Overlay) != 0 {
		t.Errorf("status %+v", st)
	}
}

func TestAReloadForAnotherRevisionIsAConflict(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	y.write(t, toSpare)
	r, err := y.Reload(t.Context(), ReloadRequest{Origin: "POST /v1/reload", IfRevision: 7})
	if e := refusal[*ConflictError](t, r, err); e.Revision != 1 {
		t.Errorf("conflict %+v", e)
	}
	y.reload(t, ReloadRequest{Origin: "POST /v1/reload", IfRevision: 1})
}

func TestChangesBeforeStartAndAfterTheEndAreRefused(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	m, err := Load(Options{Path: y.path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Reload(t.Context(), ReloadRequest{}); err != ErrStarting {
		t.Errorf("before Start: %v", err)
	}
	if run, st := m.Running(), m.Status(); run.Revision != 0 || st.Revision != 0 || st.FileDiffers {
		t.Errorf("before Start: %+v, %+v", run, st)
	}
	m.Close()
	if _, err := m.Reload(t.Context(), ReloadRequest{}); err != ErrStopping {
		t.Errorf("after Close: %v", err)
	}
	m.Start(y.server) // does nothing

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	<-y.turn // somebody else's
	if _, err := y.Reload(cancelled, ReloadRequest{}); err != context.Canceled {
		t.Errorf("with a context that is done: %v", err)
	}
	y.end()
	y.server.Shutdown(cancelled)
	y.write(t, toSpare)
	if _, err := y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal}); err != ErrStopping {
		t.Errorf("a reload after the balancer has stopped: %v", err)
	}
	if _, err := y.PutRoute(t.Context(), "r", []byte(`{hosts: [r.example.com], pool: web}`), as("PUT")); err != ErrStopping {
		t.Errorf("an edit after the balancer has stopped: %v", err)
	}
}

func TestStatusDoesNotWaitForAChange(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	<-y.turn // a change is being made
	defer y.end()
	if st, run := y.Status(), y.Running(); st.Revision != 1 || run.Text != still+base {
		t.Errorf("%+v, %+v", st, run)
	}
}

func TestWarningsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	y := start(t, still+base) // pool spare is not used
	count := func() (n int) {
		for line := range strings.Lines(y.log.String()) {
			if strings.Contains(line, "is not used by any route") {
				n++
			}
		}
		return n
	}
	y.write(t, still+base+"# one\n")
	if r := y.reload(t, ReloadRequest{Origin: OriginSignal}); len(r.Warnings) != 1 || count() != 0 {
		t.Errorf("warnings %q; %d lines about one that the start has logged", r.Warnings, count())
	}
	y.write(t, strings.ReplaceAll(still+base, "pool: api", "pool: web"))
	if r := y.reload(t, ReloadRequest{Origin: OriginSignal}); len(r.Warnings) != 2 || count() != 1 {
		t.Errorf("warnings %q; %d lines about a new one", r.Warnings, count())
	}
}
