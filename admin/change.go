package admin

import (
	"time"

	"github.com/seed-23b4a313/switchyard/control"
)

// What changes the configuration. Each answers a [control.Result]; what it carries and refuses is control's to say.

// maxGuard is the longest time that a reload can be watched, as in the file.
const maxGuard = time.Hour

func reload(a *api, r *request) (any, error) {
	q := r.query
	ask := control.ReloadRequest{
		Origin: r.origin, DryRun: q.flag("dry_run"), Guard: q.duration("guard", maxGuard), GuardBound: q.share("guard_bound"),
		DropOverlay: q.word("overlay", "keep", "drop") == "drop", IfRevision: q.number("if_revision"),
	}
	if ask.GuardBound > 0 && ask.Guard == 0 {
		q.refuse("add guard=30s", "guard_bound says nothing without guard")
	}
	if err := q.err(); err != nil {
		return nil, err
	}
	return result(a.control.Reload(r.http.Context(), ask))
}

// result keeps a nil *control.Result from becoming an answer that is not nil.
func result(res *control.Result, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return res, nil
}

func check(a *api, r *request) (any, error) {
	q := r.query
	ask := control.CheckRequest{
		Name: q.text("name"), Dir: q.text("dir"), Text: r.body, DropOverlay: q.word("overlay", "keep", "drop") == "drop",
	}
	if err := q.err(); err != nil {
		return nil, err
	}
	if ask.Name == "" {
		ask.Name = r.origin
	}
	return result(a.control.Check(r.http.Context(), ask))
}

func rollback(a *api, r *request) (any, error) {
	revision := r.query.number("revision")
	if err := r.query.err(); err != nil {
		return nil, err
	}
	return result(a.control.Rollback(r.http.Context(), revision, r.origin))
}

// changeOptions are the parameters that all changes of a part have.
func changeOptions(r *request) (control.ChangeOptions, error) {
	q := r.query
	opt := control.ChangeOptions{
		Origin: r.origin, OnReload: q.word("on_reload", "keep", "drop"), IfRevision: q.number("if_revision"), DryRun: q.flag("dry_run"),
	}
	return opt, q.err()
}

func putRoute(a *api, r *request) (any, error) {
	opt, err := changeOptions(r)
	if err != nil {
		return nil, err
	}
	return result(a.control.PutRoute(r.http.Context(), r.value("name"), r.body, opt))
}

func deleteRoute(a *api, r *request) (any, error) {
	opt, err := changeOptions(r)
	if err != nil {
		return nil, err
	}
	return result(a.control.DeleteRoute(r.http.Context(), r.value("name"), opt))
}

func putPool(a *api, r *request) (any, error) {
	opt, err := changeOptions(r)
	if err != nil {
		return nil, err
	}
	return result(a.control.PutPool(r.http.Context(), r.value("name"), r.body, opt))
}

func deletePool(a *api, r *request) (any, error) {
	opt, err := changeOptions(r)
	if err != nil {
		return nil, err
	}
	return result(a.control.DeletePool(r.http.Context(), r.value("name"), opt))
}

func putBackend(a *api, r *request) (any, error) {
	opt, err := changeOptions(r)
	if err != nil {
		return nil, err
	}
	return result(a.control.SetBackend(r.http.Context(), r.value("name"), r.value("address"), r.body, opt))
}

func transact(a *api, r *request) (any, error) {
	opt, err := changeOptions(r)
	if err != nil {
		return nil, err
	}
	return result(a.control.Transact(r.http.Context(), r.body, opt))
}

func dropOverlay(a *api, r *request) (any, error) {
	opt, err := changeOptions(r)
	if err != nil {
		return nil, err
	}
	return result(a.control.DropOverlay(r.http.Context(), opt))
}

// getConfig answers what runs: the file as it was loaded, and what was changed since.
func getConfig(a *api, _ *request) (any, error) { return a.control.Running(), nil }
