package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
)

func newPools() *cobra.Command {
	var socket socketFlag
	var out outputFlag
	cmd := &cobra.Command{
		Use:   "pools [NAME]",
		Short: "List pools and backends with their state",
		Long: `List the backends of all pools, or of the pool NAME with its options. The state of a
backend is up, drain or maint as an operator has said, down as its checks say, or ejected
because connections to it failed; with "no check" nothing is known against it. The weight
is the one in force.`,
		Example: `  switchyard pools
  switchyard pools web -o json | jq '.backends'`,
		Args:              atMostOne("NAME"),
		ValidArgsFunction: socket.completeFirst(poolNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return ask(cmd, &socket, &out, admin.Call{Path: admin.Path("pools")}, func(w io.Writer, l *admin.PoolList) { printMembers(w, l.Pools) })
			}
			return ask(cmd, &socket, &out, admin.Call{Path: admin.Path("pools", args[0])}, printPool)
		},
	}
	socket.add(cmd)
	out.add(cmd)
	return cmd
}

// printMembers lists the backends of all pools.
func printMembers(w io.Writer, pools []admin.Pool) {
	t := newColumns(w, "POOL", "BACKEND", "STATE", "WEIGHT", "OPEN", "TOTAL", "FAILURES", "FROM CLIENTS", "TO CLIENTS", "SINCE", "LAST ERROR")
	for i := range pools {
		p := &pools[i]
		if len(p.Members) == 0 {
			t.row(p.Name, "none", "-", "-", "-", p.Active, "-", "-", "-", "-", "-")
		}
		for _, m := range p.Members {
			since := "-"
			if m.Since != nil {
				since = when(*m.Since)
			}
			t.row(p.Name, m.Address, stateOf(&m, p.Health != nil), m.Weight, m.Active, m.Total, m.Failures, admin.FormatBytes(m.BytesIn), admin.FormatBytes(m.BytesOut),
				since, orDash(m.Error))
		}
	}
	t.end()
}

// printPool shows one pool with its options, as the file would have them.
func printPool(w io.Writer, p *admin.Pool) {
	fmt.Fprintf(w, "pool %s, from the %s, %s\n", shown(p.Name), p.Origin, count(int(p.Active), "connection"))
	t := newColumns(w)
	t.row("  balance", p.Balance)
	for _, o := range []struct {
		key   string
		value any
		given bool
	}{
		{"hash", p.Hash, p.Hash != ""},
		{"max_connections", p.MaxConnections, p.MaxConnections > 0},
		{"connect_timeout", p.ConnectTimeout, true},
		{"answer_timeout", p.AnswerTimeout, true},
		{"setup_timeout", p.SetupTimeout, true},
		{"idle_timeout", p.IdleTimeout, true},
		{"half_close_timeout", p.HalfCloseTimeout, true},
		{"stalled_timeout", p.StalledTimeout, true},
		{"drain_timeout", p.DrainTimeout, true},
		{"attempts", p.Attempts, true},
		{"proxy_protocol", p.ProxyProtocol, p.ProxyProtocol != ""},
		{"source", p.Source, p.Source != nil},
		{"slow_start", p.SlowStart, true},
		{"panic_below", p.PanicBelow, true},
		{"queue_timeout", p.QueueTimeout, true},
		{"queue_size", p.QueueSize, p.QueueTimeout != "0s"},
		{"acme_fanout", p.AcmeFanout, p.AcmeFanout},
		{"health", healthOf(p.Health), p.Health != nil},
		{"outlier", outlierOf(p.Outlier), p.Outlier != nil},
	} {
		if o.given {
			t.row("  "+o.key, o.value)
		}
	}
	t.end()
	if p.Panic {
		fmt.Fprintln(w, "  too few backends are healthy: all that are not drained are used (panic mode)")
	}
	if p.Waiting > 0 {
		fmt.Fprintf(w, "  waiting for a slot: %s\n", count(int(p.Waiting), "connection"))
	}
	fmt.Fprintln(w)
	printMembers(w, []admin.Pool{*p})
}

// healthOf sums a check up.
func healthOf(h *admin.Health) string {
	if h == nil {
		return ""
	}
	return fmt.Sprintf("%s every %s, down after %d, up after %d", h.Type, h.Interval, h.Fall, h.Rise)
}

// outlierOf sums up when backends are left out.
func outlierOf(o *admin.Outlier) string {
	if o == nil {
		return ""
	}
	return fmt.Sprintf("%d failures in a row, for %s, at most %s of the pool", o.Failures, o.Eject, o.MaxEjected)
}

// stateOf is the state of a backend in words, and that it is a backup. Of one that nobody checks and nobody has taken
// out, more is not known.
func stateOf(m *admin.BackendStatus, checked bool) string {
	state := m.State
	if state == "unknown" && !checked {
		state = "no check"
	}
	if m.Backup {
		state += ", backup"
	}
	return state
}
