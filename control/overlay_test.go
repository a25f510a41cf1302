package control

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

const extraRoute = `{hosts: [extra.example.com], pool: web}`

// shown is an overlay without times.
func shown(y *yard) []OverlayEntry {
	list := y.Status().Overlay
	out := make([]OverlayEntry, len(list))
	for i, e := range list {
		e.At = e.At.Truncate(1 << 62)
		out[i] = e
	}
	return out
}

func wantOverlay(t *testing.T, y *yard, want ...OverlayEntry) {
	t.Helper()
	if d := cmp.Diff(want, shown(y), cmpopts.IgnoreFields(OverlayEntry{}, "At"), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("overlay (-want +got):\n%s", d)
	}
}

func TestRoutesAndPoolsChangeAtRunTime(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	ctx := t.Context()
	r := must(t)(y.PutRoute(ctx, "extra", []byte(extraRoute), as("PUT /v1/routes/extra")))
	if r.Revision != 2 || r.Summary != "1 route added" {
		t.Errorf("result %+v", r)
	}
	y.want(t, "extra.example.com", "web")
	must(t)(y.PutPool(ctx, "fresh", []byte(`{backends: ["127.0.0.1:9109"]}`), as("PUT /v1/pools/fresh")))
	must(t)(y.PutRoute(ctx, "extra", []byte(`{hosts: [extra.example.com], pool: fresh}`), as("PUT /v1/routes/extra")))
	y.want(t, "extra.example.com", "fresh")
	must(t)(y.DeleteRoute(ctx, "api", as("DELETE /v1/routes/api")))
	y.want(t, "api.example.com", "reject")
	wantOverlay(t, y,
		OverlayEntry{Kind: "route", Name: "extra", Change: "put", OnReload: "keep", Origin: "PUT /v1/routes/extra"},
		OverlayEntry{Kind: "pool", Name: "fresh", Change: "put", OnReload: "keep", Origin: "PUT /v1/pools/fresh"},
		OverlayEntry{Kind: "route", Name: "api", Change: "delete", OnReload: "keep", Origin: "DELETE /v1/routes/api"},
	)
	if st := y.Status(); st.Revision != 5 || len(st.Revisions) != 5 || st.Revisions[4].Overlay != 3 || st.FileDiffers {
		t.Errorf("status %+v", st)
	}

	// What lies on the file lies on the next one too.
	y.write(t, still+base+"# again\n")
	y.reload(t, ReloadRequest{Origin: OriginSignal})
	y.want(t, "extra.example.com", "fresh")
	y.want(t, "api.example.com", "reject")

	// A route that the file does not have goes without a trace; a pool that is used does not go.
	r, err := y.DeletePool(ctx, "fresh", as("DELETE /v1/pools/fresh"))
	refusal[*RefusedError](t, r, err)
	must(t)(y.DeleteRoute(ctx, "extra", as("DELETE /v1/routes/extra")))
	must(t)(y.DeletePool(ctx, "fresh", as("DELETE /v1/pools/fresh")))
	wantOverlay(t, y, OverlayEntry{Kind: "route", Name: "api", Change: "delete", OnReload: "keep", Origin: "DELETE /v1/routes/api"})

	r = must(t)(y.DropOverlay(ctx, as("DELETE /v1/overlay")))
	if d := cmp.Diff([]string{"route api"}, r.Dropped); d != "" {
		t.Errorf("dropped: %s", d)
	}
	y.want(t, "api.example.com", "api")
	wantOverlay(t, y)
	if r := must(t)(y.DropOverlay(ctx, as("DELETE /v1/overlay"))); r.Changed {
		t.Errorf("without an overlay: %+v", r)
	}
}

func TestADeletionGoesWhenTheFileHasLostTheRouteToo(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	must(t)(y.DeleteRoute(t.Context(), "api", as("DELETE")))
	y.write(t, toSpare) // without api
	r := y.reload(t, ReloadRequest{Origin: OriginSignal})
	if d := cmp.Diff([]string{"route api"}, r.Dropped); d != "" {
		t.Errorf("dropped: %s", d)
	}
	wantOverlay(t, y)
	y.write(t, still+base)
	y.reload(t, ReloadRequest{Origin: OriginSignal})
	y.want(t, "api.example.com", "api")
}

func TestADeletionStaysForARouteThatIsWrittenWithEscapes(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	must(t)(y.DeleteRoute(t.Context(), "api", as("DELETE")))
	escaped := strings.NewReplacer("name: api, hosts", `name: "\x61pi", hosts`, "pool: api", "pool: spare", "  - {name: api, backends: [\"127.0.0.1:9103\"]}\n", "",
		"api.example.com", "ap.example.com").Replace(still + base)
	if strings.Contains(escaped, "api") {
		t.Fatalf("the name stands in the file:\n%s", escaped)
	}
	y.write(t, escaped)
	if r := y.reload(t, ReloadRequest{Origin: OriginSignal}); len(r.Dropped) != 0 {
		t.Errorf("dropped %q", r.Dropped)
	}
	y.want(t, "ap.example.com", "reject")
}

func TestAPutOverADeletionAndADeletionOfAPut(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	ctx := t.Context()
	must(t)(y.DeleteRoute(ctx, "api", as("DELETE")))
	must(t)(y.PutRoute(ctx, "api", []byte(`{hosts: [api.example.com], pool: spare}`), as("PUT")))
	y.want(t, "api.example.com", "spare")
	wantOverlay(t, y, OverlayEntry{Kind: "route", Name: "api", Change: "put", OnReload: "keep", Origin: "PUT"})
	must(t)(y.DeleteRoute(ctx, "api", as("DELETE"))) // the file has one of that name
	wantOverlay(t, y, OverlayEntry{Kind: "route", Name: "api", Change: "delete", OnReload: "keep", Origin: "DELETE"})
	r, err := y.DeleteRoute(ctx, "api", as("DELETE"))
	if e := refusal[*NotFoundError](t, r, err); e.Kind != "route" || e.Name != "api" {
		t.Errorf("error %+v", e)
	}
}

func TestAReloadDropsWhatWasMadeToBeDropped(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	ctx := t.Context()
	drop := ChangeOptions{Origin: "PUT", OnReload: "drop"}
	must(t)(y.PutRoute(ctx, "extra", []byte(extraRoute), drop))
	must(t)(y.PutRoute(ctx, "kept", []byte(`{hosts: [kept.example.com], pool: web}`), as("PUT")))
	must(t)(y.SetBackend(ctx, "web", "127.0.0.1:9101", []byte(`{state: maint}`), drop))
	must(t)(y.SetBackend(ctx, "api", "127.0.0.1:9103", []byte(`{weight: 7}`), as("PUT")))
	r := y.reload(t, ReloadRequest{Origin: OriginSignal}) // the file is the same, and yet there is something to do
	if d := cmp.Diff([]string{"route extra", "backend web/127.0.0.1:9101"}, r.Dropped); d != "" {
		t.Errorf("dropped: %s", d)
	}
	y.want(t, "extra.example.com", "reject")
	y.want(t, "kept.example.com", "web")
	wantOverlay(t, y,
		OverlayEntry{Kind: "route", Name: "kept", Change: "put", OnReload: "keep", Origin: "PUT"},
		OverlayEntry{Kind: "backend", Name: "api/127.0.0.1:9103", Change: "weight 7", OnReload: "keep", Origin: "PUT"},
	)
	if s := y.server.Settings(); len(s) != 1 || s[0].Pool != "api" {
		t.Errorf("the balancer has the settings %+v", s)
	}
	r = y.reload(t, ReloadRequest{Origin: "POST /v1/reload", DropOverlay: true})
	if len(r.Dropped) != 2 || len(y.Status().Overlay) != 0 || len(y.server.Settings()) != 0 {
		t.Errorf("with overlay=drop: %+v, %+v", r.Dropped, y.Status().Overlay)
	}
}

func TestAnOverlayThatDoesNotFitTheFileIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, put, text string
		file            func(path string) string // of the first mistake
	}{
		{"its pool is gone", `{hosts: [extra.example.com], pool: api}`, toSpare,
			func(string) string { return "overlay: route extra (PUT /v1/routes/extra)" }},
		{"its host is taken by the file", `{hosts: [new.example.com], pool: web}`, toSpare,
			func(string) string { return "overlay: route extra (PUT /v1/routes/extra)" }},
		{"the file wants another decision", `{hosts: [www.example.com], alpn: [h2], pool: api}`,
			"tests: [{sni: www.example.com, alpn: h2, expect: {pool: web}}]\n" + still + base,
			func(path string) string { return path }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			y := start(t, still+base)
			must(t)(y.PutRoute(t.Context(), "extra", []byte(c.put), as("PUT /v1/routes/extra")))
			y.write(t, c.text)
			r, err := y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal})
			e := refusal[*RefusedError](t, r, err)
			if e.Mistakes[0].File != c.file(y.path) {
				t.Errorf("mistake %+v", e.Mistakes[0])
			}
			if !strings.Contains(e.Hint, "overlay=drop") || !strings.Contains(e.Hint, "route extra") {
				t.Errorf("hint %q", e.Hint)
			}
			if y.Status().Revision != 2 {
				t.Error("it changed something")
			}
			y.reload(t, ReloadRequest{Origin: "POST /v1/reload", DropOverlay: true})
		})
	}
}

func TestAPutThatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	for _, c := range []struct{ name, text, want string }{
		{"no mapping", `7`, ""},
		{"an unknown pool", `{hosts: [extra.example.com], pool: wbe}`, `there is no pool "wbe"`},
		{"a host that is taken", `{hosts: [www.example.com], pool: api}`, "www.example.com"},
		{"another name", `{name: other, hosts: [extra.example.com], pool: web}`, "other"},
	} {
		r, err := y.PutRoute(t.Context(), "extra", []byte(c.text), as("PUT /v1/routes/extra"))
		e := refusal[*RefusedError](t, r, err)
		if m := e.Mistakes[0]; m.File != "PUT /v1/routes/extra" || m.Line != 1 || !strings.Contains(m.Message, c.want) {
			t.Errorf("%s: %+v", c.name, m)
		}
	}
	r, err := y.PutRoute(t.Context(), "extra", []byte(extraRoute), ChangeOptions{Origin: "PUT", OnReload: "perhaps"})
	refusal[*RefusedError](t, r, err)
	if st := y.Status(); st.Revision != 1 || len(st.Overlay) != 0 {
		t.Errorf("status %+v", st)
	}
}

func TestAPutOfWhatRunsIsNoRevision(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	for i, changed := range []bool{true, false} {
		r := must(t)(y.PutRoute(t.Context(), "extra", []byte(extraRoute), as("PUT")))
		if r.Changed != changed || r.Revision != 2 {
			t.Errorf("put %d: %+v", i, r)
		}
	}
}

func TestATransactionIsMadeWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	const good = `{if_revision: 1, on_reload: drop, changes: [
  {put_pool: {name: fresh, backends: ["127.0.0.1:9109"]}},
  {put_route: {name: www, hosts: [www.example.com], pool: fresh}},
  {delete_route: api},
  {delete_pool: api},
  {backend: {pool: fresh, address: "127.0.0.1:9109", weight: 3}}]}`
	bad := strings.Replace(good, "delete_pool: api", "delete_pool: web", 1)
	bad = strings.Replace(bad, "delete_route: api", "put_route: {name: other, hosts: [other.example.com], pool: web}", 1)
	r, err := y.Transact(t.Context(), []byte(bad), as("POST /v1/transaction"))
	refusal[*RefusedError](t, r, err)
	elsewhere := strings.Replace(good, "9109\", weight", "9110\", weight", 1)
	r, err = y.Transact(t.Context(), []byte(elsewhere), as("POST /v1/transaction"))
	if e := refusal[*NotFoundError](t, r, err); e.Kind != "backend" || e.Hint != "pool fresh has 127.0.0.1:9109" {
		t.Errorf("error %+v", e)
	}
	if st := y.Status(); st.Revision != 1 || len(st.Overlay) != 0 {
		t.Fatalf("a refused transaction changed something: %+v", st)
	}

	dry := ChangeOptions{Origin: "POST /v1/transaction", DryRun: true}
	if r := must(t)(y.Transact(t.Context(), []byte(good), dry)); r.Effects == nil || y.Status().Revision != 1 {
		t.Errorf("dry run: %+v", r)
	}
	must(t)(y.Transact(t.Context(), []byte(good), as("POST /v1/transaction")))
	y.want(t, "www.example.com", "fresh")
	y.want(t, "api.example.com", "reject")
	const origin = "POST /v1/transaction"
	wantOverlay(t, y,
		OverlayEntry{Kind: "pool", Name: "fresh", Change: "put", OnReload: "drop", Origin: origin},
		OverlayEntry{Kind: "route", Name: "www", Change: "put", OnReload: "drop", Origin: origin},
		OverlayEntry{Kind: "route", Name: "api", Change: "delete", OnReload: "drop", Origin: origin},
		OverlayEntry{Kind: "pool", Name: "api", Change: "delete", OnReload: "drop", Origin: origin},
		OverlayEntry{Kind: "backend", Name: "fresh/127.0.0.1:9109", Change: "weight 3", OnReload: "drop", Origin: origin},
	)
	if s := y.server.Settings(); len(s) != 1 || *s[0].Weight != 3 {
		t.Errorf("settings %+v", s)
	}
	r, err = y.Transact(t.Context(), []byte(good), as("POST /v1/transaction"))
	refusal[*RefusedError](t, r, err) // api is gone
	again := strings.NewReplacer("{delete_route: api},", "", "{delete_pool: api},", "").Replace(good)
	r, err = y.Transact(t.Context(), []byte(again), as("POST /v1/transaction"))
	if e := refusal[*ConflictError](t, r, err); e.Revision != 2 {
		t.Errorf("error %+v", e)
	}
}

func TestTwoClientsThatRaceForARevision(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	const rounds = 20
	for round := range uint64(rounds) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		won, lost := 0, 0
		for _, to := range []string{"web", "api"} {
			wg.Go(func() {
				text := `{hosts: [race.example.com], pool: ` + to + `}` + strings.Repeat(" ", int(round))
				_, err := y.PutRoute(context.Background(), "race", []byte(text), ChangeOptions{Origin: "PUT " + to, IfRevision: round + 1})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if e, ok := err.(*ConflictError); ok && e.Revision == round+2 {
					lost++
				}
			})
		}
		wg.Wait()
		if won != 1 || lost != 1 {
			t.Fatalf("round %d: %d won, %d lost", round, won, lost)
		}
	}
	if st := y.Status(); st.Revision != rounds+1 || len(st.Overlay) != 1 {
		t.Errorf("status %+v", st)
	}
}

func TestBackendsAreSetWithoutARevision(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	const addr = "127.0.0.1:9101"
	three := 3
	for _, c := range []struct {
		name, text string
		changed    bool
		change     string // in the overlay; "" for none
	}{
		{"drain", `{state: drain}`, true, "drain"},
		{"drain again", `{state: drain}`, false, "drain"},
		{"a weight beside it", `{weight: 3}`, true, "drain, weight 3"},
		{"ready keeps the weight", `{state: ready}`, true, "weight 3"},
		{"maint", `{state: maint}`, true, "maint, weight 3"},
		{"the file's weight again", `{weight: null}`, true, "maint"},
		{"ready with no weight is as if nothing had been said", `{state: ready}`, true, ""},
		{"ready again", `{state: ready}`, false, ""},
		{"ready with a weight", `{state: ready, weight: 3}`, true, "weight 3"},
	} {
		r := must(t)(y.SetBackend(t.Context(), "web", addr, []byte(c.text), as("PUT")))
		if r.Changed != c.changed || r.Revision != 1 {
			t.Errorf("%s: %+v", c.name, r)
		}
		var got string
		for _, e := range y.Status().Overlay {
			got = e.Change
		}
		if got != c.change {
			t.Errorf("%s: overlay %q; want %q", c.name, got, c.change)
		}
	}
	if s := y.server.Settings(); len(s) != 1 || s[0].State != pool.OverrideNone || *s[0].Weight != three {
		t.Errorf("settings %+v", s)
	}
	for _, c := range []struct{ pool, addr, kind string }{{"wbe", addr, "pool"}, {"web", "127.0.0.1:1", "backend"}} {
		r, err := y.SetBackend(t.Context(), c.pool, c.addr, []byte(`{state: drain}`), as("PUT"))
		if e := refusal[*NotFoundError](t, r, err); e.Kind != c.kind || e.Hint == "" {
			t.Errorf("%s/%s: %+v", c.pool, c.addr, e)
		}
	}
	r, err := y.SetBackend(t.Context(), "web", addr, []byte(`{state: off}`), as("PUT"))
	refusal[*RefusedError](t, r, err)
	dry := ChangeOptions{Origin: "PUT", DryRun: true}
	if r := must(t)(y.SetBackend(t.Context(), "web", addr, []byte(`{state: drain}`), dry)); !r.Changed || !r.DryRun {
		t.Errorf("dry run: %+v", r)
	}
	if s := y.server.Settings(); s[0].State != pool.OverrideNone {
		t.Errorf("a dry run has set %+v", s)
	}
}

func TestASettingGoesWithItsBackend(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	must(t)(y.SetBackend(t.Context(), "web", "127.0.0.1:9102", []byte(`{state: drain}`), as("PUT")))
	must(t)(y.SetBackend(t.Context(), "web", "127.0.0.1:9101", []byte(`{state: drain}`), as("PUT")))
	y.write(t, toSpare) // without 9102
	if r := y.reload(t, ReloadRequest{Origin: OriginSignal}); len(r.Dropped) != 1 || r.Dropped[0] != "backend web/127.0.0.1:9102" {
		t.Errorf("dropped %q", r.Dropped)
	}
	if s := y.server.Settings(); len(s) != 1 || s[0].Address != "127.0.0.1:9101" {
		t.Errorf("settings %+v", s)
	}
}
