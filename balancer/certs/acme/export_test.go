package acme

import "time"

// RestFor sets, before the start, how long what certmagic has given up rests.
func (m *Manager) RestFor(d time.Duration) { m.ledger.pause = d }
