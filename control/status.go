package control

import (
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
)

// Result is what a change did, or would do.
type Result struct {
	Revision uint64            `json:"revision"` // that runs now
	Changed  bool              `json:"changed"`  // false: it asked for what runs already
	DryRun   bool              `json:"dry_run,omitempty"`
	Summary  string            `json:"summary"`           // one line: "3 routes added, 1 changed; pool web: +1 -1 backends"
	Diff     *balancer.Diff    `json:"diff,omitempty"`    // nil where only backends were set, or nothing changed
	Effects  *balancer.Effects `json:"effects,omitempty"` // of a dry run only
	Warnings []string          `json:"warnings,omitempty"`
	// NeedsRestart are the keys whose new value the running process cannot take: "admin.listen".
	NeedsRestart []string     `json:"needs_restart,omitempty"`
	Guard        *GuardStatus `json:"guard,omitempty"`   // of the guard that was asked for; nil if there is nothing to guard
	Dropped      []string     `json:"dropped,omitempty"` // entries of the overlay that went: "route api", "pool web", "backend web/10.0.0.7:443"
}

// Status is what a Manager has to say of itself. It is a copy; what it points at is never changed.
type Status struct {
	File        string            `json:"file"`
	Revision    uint64            `json:"revision"`
	Digest      string            `json:"digest"`       // SHA-256 of the file as it was loaded
	Loaded      time.Time         `json:"loaded"`       // when this revision came into force
	Origin      string            `json:"origin"`       // of this revision: "start", "watch", "SIGHUP", "PUT /v1/routes/api"
	FileDiffers bool              `json:"file_differs"` // the file on disk is not what was loaded
	LastReload  LastReload        `json:"last_reload"`
	Overlay     []OverlayEntry    `json:"overlay"`
	Guard       *GuardStatus      `json:"guard,omitempty"` // of the last guard; nil if there was none
	Revisions   []Revision        `json:"revisions"`       // oldest first, at most ten
	StateFile   string            `json:"state_file,omitempty"`
	Reloads     map[string]uint64 `json:"reloads"` // by result: applied, unchanged, refused, rolled_back
}

// The results of a reload, as they are counted in Status.Reloads.
const (
	resultApplied    = "applied"     // a new revision runs
	resultUnchanged  = "unchanged"   // the file is what runs already
	resultRefused    = "refused"     // the file has mistakes
	resultRolledBack = "rolled_back" // a guard has put the revision before back
)

// LastReload is how the last attempt to load a file went. Before the first one it is the start.
type LastReload struct {
	At    time.Time `json:"at"`
	OK    bool      `json:"ok"`
	Error string    `json:"error,omitempty"` // as `switchyard check` prints it; at most ten mistakes
}

// OverlayEntry is one change made at run time.
type OverlayEntry struct {
	Kind     string    `json:"kind"`      // "route", "pool" or "backend"
	Name     string    `json:"name"`      // of a backend "web/10.0.0.7:443"
	Change   string    `json:"change"`    // "put", "delete", "drain", "maint", "weight 3", "drain, weight 3"
	At       time.Time `json:"at"`        // when it was made
	OnReload string    `json:"on_reload"` // "keep" or "drop"
	Origin   string    `json:"origin"`    // who made it
}

// Revision is one state of file and overlay that ran, or runs.
type Revision struct {
	Number  uint64    `json:"number"`
	At      time.Time `json:"at"` // when it came into force
	Origin  string    `json:"origin"`
	Digest  string    `json:"digest"` // of the file as it was loaded
	Summary string    `json:"summary"`
	Current bool      `json:"current"`
	Overlay int       `json:"overlay"` // entries for routes and pools
}

// Running is what runs, as text.
type Running struct {
	Revision uint64         `json:"revision"`
	Digest   string         `json:"digest"`
	File     string         `json:"file"`
	Text     string         `json:"text"`    // the file as it was loaded
	Overlay  []OverlayEntry `json:"overlay"` // what lies on top of it
}

// The states of a guard.
const (
	GuardWatching   = "watching"
	GuardPassed     = "passed"
	GuardRolledBack = "rolled_back" // the revision before was put back
	GuardEnded      = "ended"       // a rollback or the end of the process came first
)

// GuardStatus is what became of a guarded change.
type GuardStatus struct {
	Revision uint64    `json:"revision"` // that is guarded
	Previous uint64    `json:"previous"` // that is put back if need be
	State    string    `json:"state"`    // GuardWatching, GuardPassed, GuardRolledBack or GuardEnded
	Ends     time.Time `json:"ends"`
	Reason   string    `json:"reason,omitempty"` // "no_route 12 of 80 connections, before 0 of 1400"
	Before   Rates     `json:"before"`           // in the minute before the change, or as long as there is history
	After    Rates     `json:"after"`            // since the change
}

// Rates are shares from 0 to 1. Without any traffic they are 0.
type Rates struct {
	NoRoute          float64 `json:"no_route"`          // of connections: ended for want of a route or a server name
	ConnectFailures  float64 `json:"connect_failures"`  // of attempts: no connection to the backend
	FailedHandshakes float64 `json:"failed_handshakes"` // of attempts: connected, and no answer
	Connections      uint64  `json:"connections"`       // that the shares were counted over
}
