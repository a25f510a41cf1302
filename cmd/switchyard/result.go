package main

import (
	"fmt"
	"io"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/control"
)

// most is how many names one line of a change lists. -o json has them all.
const most = 10

// printResult shows what a change did, or would do, by name; words that are no part of that go to words.
func printResult(w, words io.Writer, r *control.Result) {
	for _, warning := range r.Warnings {
		fmt.Fprintf(words, "switchyard: warning: %s\n", warning) // lines with a place, as `check` prints them
	}
	head := "revision"
	if r.DryRun {
		head = "against revision"
	}
	fmt.Fprintf(w, "%s %d: %s\n", head, r.Revision, shown(r.Summary))
	if r.Diff != nil {
		printDiff(w, r.Diff)
	}
	if len(r.Dropped) > 0 {
		fmt.Fprintf(w, "  runtime changes dropped: %s\n", some(r.Dropped, most))
	}
	if r.Effects != nil {
		printEffects(w, r.Effects)
	}
	for _, key := range r.NeedsRestart {
		fmt.Fprintf(words, "switchyard: note: %s takes effect at a restart\n", shown(key))
	}
}

func printDiff(w io.Writer, d *balancer.Diff) {
	t := newColumns(w)
	line := func(head string, names []string) {
		if len(names) > 0 {
			t.row("  "+head, some(names, most))
		}
	}
	line("routes added", d.Routes.Added)
	line("routes removed", d.Routes.Removed)
	line("routes changed", d.Routes.Changed)
	for i := range d.Pools[:min(len(d.Pools), most)] {
		p := &d.Pools[i]
		line("pool "+p.Pool, parts(p.Change, p.BackendsAdded, p.BackendsRemoved, p.BackendsChanged, p.Options))
	}
	if more := len(d.Pools) - most; more > 0 {
		t.row(fmt.Sprintf("  and %s", count(more, "more pool")))
	}
	for i := range d.Listeners[:min(len(d.Listeners), most)] {
		l := &d.Listeners[i]
		line("listener "+l.Listener, parts(l.Change, l.BindAdded, l.BindRemoved, nil, l.Options))
	}
	if more := len(d.Listeners) - most; more > 0 {
		t.row(fmt.Sprintf("  and %s", count(more, "more listener")))
	}
	line("settings", d.Options)
	t.end()
	for _, note := range d.Notes {
		fmt.Fprintf(w, "  note: %s\n", shown(note))
	}
}

// parts lists what is different about one object: +added -removed, and keys that have another value.
func parts(change string, added, removed, changed, options []string) (all []string) {
	if change != "changed" {
		return []string{change}
	}
	for _, a := range added {
		all = append(all, "+"+a)
	}
	for _, r := range removed {
		all = append(all, "-"+r)
	}
	return append(append(all, changed...), options...)
}

// printEffects says which clients a change would send elsewhere.
func printEffects(w io.Writer, e *balancer.Effects) {
	if e.Connections+e.Names == 0 {
		fmt.Fprintln(w, "no live connection and no name seen lately would go elsewhere")
		return
	}
	fmt.Fprintf(w, "would now go elsewhere: %s, which stay where they are, and %s seen lately\n",
		count(e.Connections, "live connection"), count(e.Names, "name"))
	t := newColumns(w, "  WHAT", "NAME", "CLIENT", "LISTENER", "FROM", "TO", "SEEN")
	for _, x := range e.Examples {
		seen := ""
		if x.Count > 0 {
			seen = fmt.Sprint(x.Count)
		}
		t.row("  "+x.What, named(x.SNI), orDash(x.Client), x.Listener, x.From, x.To, seen)
	}
	t.end()
}

// named is a server name, or that there is none.
func named(sni string) string {
	if sni == "" {
		return "(no server name)"
	}
	return sni
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
