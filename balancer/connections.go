package balancer

import (
	"cmp"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// Connection is one connection that is open.
type Connection struct {
	ID         string    `json:"id"` // the unique id of the log and of a PROXY v2 header
	Listener   string    `json:"listener"`
	Client     string    `json:"client"` // after any PROXY header
	SNI        string    `json:"sni"`
	Route      string    `json:"route"`
	Pool       string    `json:"pool"`
	Backend    string    `json:"backend"`
	Stage      string    `json:"stage"` // hello, queued, handshaking, dialing, answering, relaying or closing
	Started    time.Time `json:"started"`
	AgeSeconds float64   `json:"age_s"`
	BytesIn    uint64    `json:"bytes_in"`  // client to backend
	BytesOut   uint64    `json:"bytes_out"` // backend to client
}

var stageWords = [...]string{
	stageFree: "", stageHello: "hello", stageQueued: "queued", stageDialing: "dialing", stageAnswering: "answering",
	stageRelaying: "relaying", stageClosing: "closing",
}

// terminatingWords are the words for the stages of a session whose TLS ends here.
var terminatingWords = [...]string{
	terminate.Handshaking: "handshaking", terminate.Dialing: "dialing", terminate.Relaying: "relaying",
}

// stageWord says where s stands.
func (s *session) stageWord() string {
	switch {
	case s.waits():
		return stageWords[stageQueued]
	case s.stage == stageTerminating:
		return terminatingWords[s.conn.Stage()]
	}
	return stageWords[s.stage]
}

// ConnectionFilter chooses connections: those for which every field that is not zero holds.
type ConnectionFilter struct {
	ID       string
	Listener string
	SNI      string // a name, or "*.suffix"
	Route    string
	Pool     string
	Backend  string
	Client   netip.Prefix
	MinAge   time.Duration
}

// chosen is a filter ready for a worker: it is asked on the loop, and allocates nothing.
type chosen struct {
	*ConnectionFilter
	name   string // in lower case; "" for any
	suffix bool   // name is ".suffix"
	id     uint64
}

// choose reads f; ok is false if no connection of this server can be meant.
func (s *Server) choose(f *ConnectionFilter) (c chosen, ok bool) {
	c.ConnectionFilter = f
	c.name = strings.ToLower(strings.TrimSuffix(f.SNI, "."))
	if rest, is := strings.CutPrefix(c.name, "*"); is {
		c.name, c.suffix = rest, true
	}
	if f.ID == "" {
		return c, true
	}
	id, err := hex.DecodeString(f.ID)
	if err != nil || len(id) != 16 || [8]byte(id[:8]) != s.nonce {
		return c, false
	}
	for _, b := range id[8:] {
		c.id = c.id<<8 | uint64(b)
	}
	return c, true
}

// holds reports whether the filter chooses ss.
func (c *chosen) holds(w *worker, ss *session) bool {
	switch f := c.ConnectionFilter; {
	case ss.stage == stageFree,
		c.id != 0 && ss.id != c.id,
		f.Listener != "" && ss.listener.name() != f.Listener,
		c.name != "" && !c.nameHolds(ss.name.String()),
		f.Route != "" && (ss.route == nil || ss.route.Name != f.Route),
		f.Pool != "" && (ss.pool == nil || ss.pool.Name() != f.Pool),
		f.Backend != "" && (ss.backendNow() == nil || ss.backendNow().Name != f.Backend),
		f.Client.IsValid() && !f.Client.Contains(ss.client.Addr().Unmap()),
		f.MinAge > 0 && w.loop.Now()-ss.started < int64(f.MinAge):
		return false
	}
	return true
}

func (c *chosen) nameHolds(name string) bool {
	if c.suffix {
		return strings.HasSuffix(name, c.name)
	}
	return name == c.name
}

// liveSession is a copy of what is told of a session, made on its loop.
type liveSession struct {
	id                uint64
	started           time.Time
	age               int64
	listener          *listener
	client            netip.AddrPort
	name              route.Name
	route             *route.Route
	pool              *livePool
	backend           string
	stage             string
	bytesIn, bytesOut uint64
}

// slabsAtOnce is how many slabs a loop looks through before it turns to its traffic again: 1024 sessions, some tens of
// microseconds.
const slabsAtOnce = 16

// visit calls f on the loop of w for every session that is open and that c chooses, a few slabs at a time.
func (w *worker) visit(c *chosen, f func(*session)) {
	for first, more := 0, true; more; first += slabsAtOnce {
		more = false
		w.do(func() {
			last := min(first+slabsAtOnce, len(w.slabs))
			for i := first; i < last; i++ {
				for j := range w.slabs[i] {
					if ss := &w.slabs[i][j]; c.holds(w, ss) {
						f(ss)
					}
				}
			}
			more = last < len(w.slabs)
		})
	}
}

// live copies the sessions that f chooses.
func (s *Server) live(f *ConnectionFilter) (all []liveSession) {
	c, ok := s.choose(f)
	if !ok {
		return nil
	}
	for _, w := range s.workers {
		w.visit(&c, func(ss *session) {
			l := liveSession{
				id: ss.id, started: w.loop.Base().Add(time.Duration(ss.started)), age: w.loop.Now() - ss.started,
				listener: ss.listener, client: ss.client, name: ss.name, route: ss.route, pool: ss.pool, stage: ss.stageWord(),
			}
			if b := ss.backendNow(); b != nil {
				l.backend = b.Name
			}
			l.bytesIn, l.bytesOut = ss.carried()
			all = append(all, l)
		})
	}
	return all
}

// Connections lists the connections that f chooses, the oldest first and at most limit of them, and says how many there
// are. It asks the loops for a copy, so that whoever reads the list slowly holds nothing up. Those that are opened or
// closed meanwhile may be in it or not.
func (s *Server) Connections(f *ConnectionFilter, limit int) (all []Connection, total int) {
	found := s.live(f)
	slices.SortFunc(found, func(a, b liveSession) int {
		return cmp.Or(a.started.Compare(b.started), cmp.Compare(a.id, b.id))
	})
	all = make([]Connection, 0, min(max(limit, 0), len(found)))
	for i := range found[:cap(all)] {
		all = append(all, s.connection(&found[i]))
	}
	return all, len(found)
}

func (s *Server) connection(l *liveSession) Connection {
	id := uniqueID(s.nonce, l.id)
	c := Connection{
		ID: hex.EncodeToString(id[:]), Listener: l.listener.name(), Client: l.client.String(), SNI: l.name.String(),
		Backend: l.backend, Stage: l.stage, Started: l.started, AgeSeconds: float64(l.age/1e6) / 1e3,
		BytesIn: l.bytesIn, BytesOut: l.bytesOut,
	}
	if l.route != nil {
		c.Route = l.route.Name
	}
	if l.pool != nil {
		c.Pool = l.pool.Name()
	}
	return c
}

// Kill ends the connections that f chooses with cause "killed", and says how many. Both sides get FIN.
func (s *Server) Kill(f *ConnectionFilter) (killed int) {
	c, ok := s.choose(f)
	if !ok {
		return 0
	}
	for _, w := range s.workers {
		w.visit(&c, func(ss *session) {
			if w.cutShort(ss, CauseKilled) {
				killed++
			}
		})
	}
	return killed
}
