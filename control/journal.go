package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/balancer"
)

// loggedNames is how many names of one kind a line has, and how many warnings about one file are logged.
const loggedNames = 20

// logChange writes one line about c, which runs now, and one for each warning about the file that is new.
func (m *Manager) logChange(c *change) {
	d := c.result.Diff
	attrs := []any{"revision", c.result.Revision, "origin", c.origin, "summary", c.summary()}
	for _, l := range []struct {
		key   string
		names []string
	}{
		{"routes_added", d.Routes.Added},
		{"routes_removed", d.Routes.Removed},
		{"routes_changed", d.Routes.Changed},
		{"pools", poolNames(d)},
		{"listeners", listenerNames(d)},
		{"notes", d.Notes},
		{"overlay_dropped", c.result.Dropped},
		{"needs_restart", c.result.NeedsRestart},
	} {
		if len(l.names) > 0 {
			attrs = append(attrs, l.key, some(l.names))
		}
	}
	if g := c.result.Guard; g != nil {
		attrs = append(attrs, "guard_until", g.Ends)
	}
	m.log.Info("configuration changed", attrs...)
	m.logWarnings(c.result.Warnings)
}

// logWarnings logs what the file before was not warned of.
func (m *Manager) logWarnings(warnings []string) {
	for _, w := range warnings[:min(len(warnings), loggedNames)] {
		if !slices.Contains(m.warned, w) {
			m.log.Warn("configuration: " + firstLine(w))
		}
	}
	m.warned = warnings
}

// refused counts an attempt to load a file that has failed, and logs it; a dry run leaves no trace, and neither does one
// that was only interrupted, or that the watcher makes again. It returns err.
func (m *Manager) refused(origin string, dryRun bool, err error) error {
	if dryRun || interrupted(err) || origin == OriginWatch && passes(err) {
		return err
	}
	m.shown.change(func(s *snapshot) { s.count(resultRefused, LastReload{At: m.now(), Error: shortly(err)}) })
	m.log.Error("reload refused: nothing was changed", append([]any{"origin", origin}, reasons(err)...)...)
	return err
}

// reasons are what a log line says of an error of a load.
func reasons(err error) []any {
	if e, ok := errors.AsType[*RefusedError](err); ok {
		return e.attrs()
	}
	return []any{"error", err}
}

// shortly is err as far as a status should carry it: ten mistakes, and how many more there are.
func shortly(err error) string {
	const most = 10
	e, ok := errors.AsType[*RefusedError](err)
	if !ok || len(e.Mistakes) <= most {
		return err.Error()
	}
	var b strings.Builder
	for i := range e.Mistakes[:most] {
		b.WriteString(e.Mistakes[i].Text + "\n")
	}
	b.WriteString("and " + plural(len(e.Mistakes)-most, "more mistake"))
	return b.String()
}

// attrs tell the first mistake, and how many more there are.
func (e *RefusedError) attrs() []any {
	attrs := []any{"error", e.first()}
	if more := len(e.Mistakes) - 1; more > 0 {
		attrs = append(attrs, "more_mistakes", more)
	}
	if hint := e.hint(); hint != "" {
		attrs = append(attrs, "hint", hint)
	}
	return attrs
}

func poolNames(d *balancer.Diff) (names []string) {
	for i := range d.Pools {
		names = append(names, d.Pools[i].String())
	}
	return names
}

func listenerNames(d *balancer.Diff) (names []string) {
	for i := range d.Listeners {
		names = append(names, d.Listeners[i].String())
	}
	return names
}

// some is the beginning of a list, and how many more there are.
func some(list []string) []string {
	if len(list) <= loggedNames {
		return list
	}
	return append(slices.Clone(list[:loggedNames]), fmt.Sprintf("and %d more", len(list)-loggedNames))
}
