package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/control"
)

func newStatus() *cobra.Command {
	var socket socketFlag
	var out outputFlag
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the running balancer does and which configuration it has",
		Long: `Ask the running balancer for its state, its listeners and pools, the configuration that
is in force with the changes made at run time, the last reload, the guard, and the
revisions that can be put back.`,
		Example: `  switchyard status
  switchyard status --socket /run/switchyard/admin.sock -o json | jq .config.revision`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, &socket, &out, admin.Call{Path: admin.Path("status")}, printStatus)
		},
	}
	socket.add(cmd)
	out.add(cmd)
	return cmd
}

func printStatus(w io.Writer, s *admin.Status) {
	fmt.Fprintf(w, "switchyard %s, %s", shown(s.Version), shown(s.State))
	if s.Limit > 0 {
		fmt.Fprintf(w, ", up %s, %d of %s", age(time.Duration(s.UptimeSeconds*float64(time.Second))), s.Active, count(int(s.Limit), "connection"))
	}
	fmt.Fprintln(w)
	if h := s.Handshakes; h != nil && h.Total > 0 {
		fmt.Fprintf(w, "handshakes of all clients: %.4g a second\n", h.Total)
	}
	if h := s.Handshakes; h != nil && h.PerSource > 0 {
		fmt.Fprintf(w, "handshakes of one source: %.4g a second, %d at once", h.PerSource, h.Burst)
		if h.Exempt > 0 {
			fmt.Fprintf(w, "; %s exempt", count(h.Exempt, "range"))
		}
		fmt.Fprintln(w)
	}
	if s.Config != nil {
		printConfig(w, s.Config)
	}
	printListeners(w, s.Listeners)
	printPoolSums(w, s.Pools)
	printRefused(w, s.RefusedFiles, s.RefusedList)
	printOverlaps(w, s.Overlaps, s.OverlapsList)
	if s.Config != nil {
		printOverlay(w, s.Config.Overlay)
		printRevisions(w, s.Config.Revisions)
	}
}

// printConfig says what is in force, and what may be wrong with it.
func printConfig(w io.Writer, c *control.Status) {
	fmt.Fprintf(w, "configuration %s, revision %d since %s (%s)\n", shown(c.File), c.Revision, when(c.Loaded), shown(c.Origin))
	if c.FileDiffers {
		fmt.Fprintln(w, "  the file is not what runs: switchyard check --against-running shows the difference")
	}
	if !c.LastReload.OK {
		first, _, _ := strings.Cut(c.LastReload.Error, "\n")
		fmt.Fprintf(w, "  the reload at %s was refused: %s\n", when(c.LastReload.At), shown(first))
	}
	if c.StateFile != "" {
		fmt.Fprintf(w, "  runtime changes are kept in %s\n", shown(c.StateFile))
	}
	if c.Guard != nil {
		fmt.Fprintf(w, "  %s\n", guardText(c.Guard))
	}
}

// guardText says how a guard stands, in a line.
func guardText(g *control.GuardStatus) string {
	text := fmt.Sprintf("guard of revision %d: ", g.Revision)
	switch g.State {
	case control.GuardWatching:
		text += "watching until " + when(g.Ends)
	case control.GuardRolledBack:
		text += fmt.Sprintf("revision %d was put back", g.Previous)
	default:
		text += g.State
	}
	if g.Reason != "" {
		text += ": " + shown(g.Reason)
	}
	return text
}

func printListeners(w io.Writer, listeners []admin.ListenerStatus) {
	fmt.Fprintln(w)
	t := newColumns(w, "LISTENER", "ADDRESSES", "OPEN", "ACCEPTED", "ENDED OTHERWISE THAN OK")
	for _, l := range listeners {
		addresses := make([]string, len(l.Addresses))
		for i, a := range l.Addresses {
			addresses[i] = a.String()
		}
		var bad uint64
		for cause, n := range l.Closed {
			if cause != "ok" {
				bad += n
			}
		}
		t.row(l.Name, some(addresses, 4), l.Active, l.Accepted, bad)
	}
	t.end()
}

func printPoolSums(w io.Writer, pools []admin.PoolStatus) {
	fmt.Fprintln(w)
	t := newColumns(w, "POOL", "BACKENDS", "OPEN", "NOT UP")
	for _, p := range pools {
		up, not := 0, []string{}
		for _, b := range p.Backends {
			if b.Up {
				up++
			} else {
				not = append(not, b.Address+" "+b.State)
			}
		}
		sum := fmt.Sprintf("%d of %d up", up, len(p.Backends))
		if p.Panic {
			sum += ", panic mode"
		}
		t.row(p.Name, sum, p.Active, orDash(some(not, 4)))
	}
	t.end()
}

// printRefused lists files that have changed and are not taken.
func printRefused(w io.Writer, total int, first []admin.RefusedFile) {
	if total == 0 {
		return
	}
	const most = 10
	fmt.Fprintln(w)
	t := newColumns(w, "FILE NOT TAKEN", "WHY")
	for _, f := range first[:min(len(first), most)] {
		t.row(f.File, f.Error)
	}
	t.end()
	if more := total - min(len(first), most); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	fmt.Fprintln(w, "what was read of them before, if anything was, stays in force; each is taken by itself once it is sound")
}

// printOverlaps lists hosts for which the certificate of another pool is good, too.
func printOverlaps(w io.Writer, total int, first []balancer.Overlap) {
	if total == 0 {
		return
	}
	const most = 10
	fmt.Fprintln(w)
	t := newColumns(w, "CERTIFICATE OF", "FOR", "COVERS", "WHICH ROUTE", "SENDS TO", "LISTENER")
	for _, o := range first[:min(len(first), most)] {
		t.row("pool "+o.Pool, o.Name, o.Host, o.OtherRoute, "pool "+o.OtherPool, o.Listener)
	}
	t.end()
	if more := total - min(len(first), most); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	fmt.Fprintln(w, "browsers may send requests for these hosts to the pool with the certificate (HTTP/2 connection coalescing)")
}

func printOverlay(w io.Writer, overlay []control.OverlayEntry) {
	if len(overlay) == 0 {
		return
	}
	const most = 20
	fmt.Fprintln(w)
	t := newColumns(w, "CHANGED AT RUN TIME", "CHANGE", "AT A RELOAD", "SINCE", "BY")
	for _, e := range overlay[:min(len(overlay), most)] {
		t.row(e.Kind+" "+e.Name, e.Change, e.OnReload, when(e.At), e.Origin)
	}
	t.end()
	if more := len(overlay) - most; more > 0 {
		fmt.Fprintf(w, "and %d more; -o json has them all\n", more)
	}
}

func printRevisions(w io.Writer, revisions []control.Revision) {
	fmt.Fprintln(w)
	t := newColumns(w, "REVISION", "SINCE", "BY", "WHAT CHANGED")
	for _, r := range revisions {
		number := fmt.Sprint(r.Number)
		if r.Current {
			number += " *"
		}
		t.row(number, when(r.At), r.Origin, r.Summary)
	}
	t.end()
}
