package acme

import "time"

// RestFor sets, before the start, how long what certmagic has given up rests.
func (m *Manager) RestFor(d time.Duration) { m.ledger.pause = d }

// Remembers reports whether failures of a name are remembered.
func Remembers(m *Manager, name string) bool { return failures.of(m.host(name)).count > 0 }
