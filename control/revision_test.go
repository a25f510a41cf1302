package control

import (
	"fmt"
	"strings"
	"testing"
)

// numbered is a file whose route www goes to the backend of one of many pools.
func numbered(n int) string {
	return fmt.Sprintf("# file %d\n", n) + still + strings.Replace(base, "pool: web}\n", fmt.Sprintf("pool: web}\n  - {name: r%d, hosts: [h%d.example.com], pool: web}\n", n, n), 1)
}

func TestTheLastTenRevisionsAreKeptAndPutBack(t *testing.T) {
	t.Parallel()
	y := start(t, numbered(1))
	for n := 2; n <= 14; n++ {
		y.write(t, numbered(n))
		y.reload(t, ReloadRequest{Origin: OriginSignal})
	}
	st := y.Status()
	if len(st.Revisions) != 10 || st.Revisions[0].Number != 5 || st.Revisions[9].Number != 14 || !st.Revisions[9].Current {
		t.Fatalf("revisions %+v", st.Revisions)
	}
	r, err := y.Rollback(t.Context(), 4, "POST /v1/rollback")
	if e := refusal[*NotFoundError](t, r, err); e.Hint != "kept are 5 to 14" || e.Name != "4" {
		t.Errorf("error %+v", e)
	}
	r = must(t)(y.Rollback(t.Context(), 7, "POST /v1/rollback"))
	y.want(t, "h7.example.com", "web")
	y.want(t, "h14.example.com", "reject")
	st = y.Status()
	last := st.Revisions[9]
	if r.Revision != 15 || last.Number != 15 || !strings.HasPrefix(last.Summary, "rollback to 7: ") || last.Digest != st.Revisions[1].Digest {
		t.Errorf("result %+v, revisions %+v", r, st.Revisions)
	}
	if !st.FileDiffers || y.Running().Text != numbered(7) {
		t.Errorf("status %+v", st)
	}
	// The one before is 14; and going back twice undoes itself, however often.
	for n := range 25 {
		must(t)(y.Rollback(t.Context(), 0, "POST /v1/rollback"))
		if want := 14 - 7*(n%2); y.goes(t, fmt.Sprintf("h%d.example.com", want)) != "web" {
			t.Fatalf("rollback %d: revision %d does not run", n, want)
		}
	}
	if st := y.Status(); st.Revision != 40 || len(st.Revisions) != 10 || st.Revisions[0].Number != 31 {
		t.Errorf("revisions %+v", st.Revisions)
	}
}

func TestRollbackPutsTheOverlayBackAndLeavesBackendsAlone(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	ctx := t.Context()
	r, err := y.Rollback(ctx, 0, "POST /v1/rollback")
	refusal[*NotFoundError](t, r, err) // there is nothing before
	must(t)(y.PutRoute(ctx, "extra", []byte(extraRoute), as("PUT")))
	must(t)(y.DeleteRoute(ctx, "api", as("DELETE")))
	must(t)(y.SetBackend(ctx, "web", "127.0.0.1:9101", []byte(`{state: drain}`), as("PUT")))
	must(t)(y.Rollback(ctx, 2, "POST /v1/rollback"))
	y.want(t, "extra.example.com", "web")
	y.want(t, "api.example.com", "api")
	wantOverlay(t, y,
		OverlayEntry{Kind: "route", Name: "extra", Change: "put", OnReload: "keep", Origin: "PUT"},
		OverlayEntry{Kind: "backend", Name: "web/127.0.0.1:9101", Change: "drain", OnReload: "keep", Origin: "PUT"},
	)
	must(t)(y.Rollback(ctx, 1, "POST /v1/rollback"))
	y.want(t, "extra.example.com", "reject")
	if len(y.server.Settings()) != 1 {
		t.Error("a rollback has touched a backend")
	}
	if r := must(t)(y.Rollback(ctx, y.Status().Revision, "POST /v1/rollback")); r.Changed {
		t.Errorf("to what runs: %+v", r)
	}
}
