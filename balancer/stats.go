package balancer

import "time"

// Stats is a copy of all counters at one moment, for metrics and status. Counters only grow while the server lives.
type Stats struct {
	Listeners   []ListenerStats
	Pools       []PoolStats
	Connections int64 // active now
	Limit       int64 // the connection limit in force
	LogDropped  uint64
	Panics      uint64
	Started     time.Time
}

// ListenerStats are the counters of one listener.
type ListenerStats struct {
	Name     string
	Accepted uint64
	Active   int64
	Closed   [NumCauses]uint64 // by Cause
	Hello    Histogram         // seconds from accept to complete hello
}

// PoolStats are the counters of one pool and its backends.
type PoolStats struct {
	Name     string
	Active   int64
	Dial     Histogram // seconds from dial to connected
	Backends []BackendStats
}

// BackendStats are the counters of one backend.
type BackendStats struct {
	Address  string
	Active   int64
	Total    uint64
	Failures uint64
	BytesIn  uint64 // client to backend
	BytesOut uint64 // backend to client
	Up       bool
}

// Histogram is a latency distribution in fixed buckets.
type Histogram struct {
	Bounds []float64 // upper bounds in seconds, ascending, without +Inf
	Counts []uint64  // per bucket, not cumulative; one more than Bounds
	Sum    float64   // seconds
}
