package control

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/seed-23b4a313/switchyard/configs"
)

// desired is a state that can run: a file, the entries of the overlay that lie on it, and what the process takes from
// the file for itself. It is never changed.
type desired struct {
	source  *source
	entries entries
	tests   *configs.Tests
	process process
}

// process is what a file says of the process, and not of what it balances.
type process struct {
	listen      netip.AddrPort // admin.listen
	socket      string         // admin.socket
	stateFile   string         // "": none
	format      string         // log.format
	level       slog.Level
	connections bool          // log.connections
	watch       bool          // reload.watch
	guard       time.Duration // reload.guard
}

func processOf(cfg *configs.Config) process {
	return process{
		listen: cfg.Admin.Listen, socket: cfg.Admin.Socket, stateFile: cfg.Admin.StateFile,
		format: cfg.Log.Format, level: cfg.Log.Level, connections: cfg.Log.Connections,
		watch: cfg.Reload.Watch, guard: cfg.Reload.Guard,
	}
}

// needsRestart names the keys that the process, which was started as boot says, cannot follow.
func (p *process) needsRestart(boot *process) (keys []string) {
	for _, k := range []struct {
		key  string
		same bool
	}{
		{"admin.listen", p.listen == boot.listen},
		{"admin.socket", p.socket == boot.socket},
		{"log.format", p.format == boot.format},
	} {
		if !k.same {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// options names the keys that p, which follows old, changes in the process.
func (p *process) options(old *process) (keys []string) {
	for _, k := range []struct {
		key  string
		same bool
	}{
		{"admin.state_file", p.stateFile == old.stateFile},
		{"log.level", p.level == old.level},
		{"log.connections", p.connections == old.connections},
		{"reload.watch", p.watch == old.watch},
		{"reload.guard", p.guard == old.guard},
	} {
		if !k.same {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// adopt makes to what runs, for the balancer serves it now.
func (m *Manager) adopt(to *desired) {
	m.running = to
	m.setLevel(to.process.level)
	m.balancer.LogConnections(to.process.connections)
}
