package balancer

// Cause is the one way in which a connection ended: log field, metric label and docs/causes.md use its word.
type Cause uint8

// Causes, in the order a connection can meet them.
const (
	CauseNone Cause = iota
	NumCauses
)

// String is the word of the log, the metric and the manual.
func (c Cause) String() string { return "" }
