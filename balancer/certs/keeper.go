package certs

import "log/slog"

// Keeper keeps the Sets that are in force fresh: it takes changed files within two seconds, and lets ACME order and renew.
// A changed pair is taken whole or not at all; what is broken is logged once, and the pair before it stays. It is
// safe for any number of goroutines.
type Keeper struct{}

// NewKeeper starts a Keeper without Sets; nil for log discards. The caller must Close it.
func NewKeeper(log *slog.Logger) *Keeper { return &Keeper{} }

// Keep says which Sets are in force from now on: after a reload, all those of the new configuration, whether they were in
// force before or not. A Set may be kept again after it was not. The list is the Keeper's from then on.
func (k *Keeper) Keep(sets []*Set) {}

// Close keeps no Set any more and waits for what is under way.
func (k *Keeper) Close() {}
