package admin

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newHandlers returns what is served on TCP and on the unix socket.
func newHandlers(st *state, log *slog.Logger) (tcp, unix http.Handler) {
	public := paths{
		"/":        http.HandlerFunc(st.servePage),
		"/metrics": metricsHandler(st, log),
		"/healthz": http.HandlerFunc(serveHealth),
		"/readyz":  http.HandlerFunc(st.serveReady),
	}
	private := paths{"/v1/status": http.HandlerFunc(st.serveStatus)}
	for path, h := range public {
		private[path] = h
	}
	return public, private
}

// paths answers GET and HEAD of exactly the paths in it. Unlike http.ServeMux it cleans no path and redirects nowhere.
type paths map[string]http.Handler

func (p paths) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	h, ok := p[r.URL.Path]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		head.Set("Allow", "GET, HEAD")
		serveError(w, http.StatusMethodNotAllowed, "only GET and HEAD are allowed")
	case !ok:
		serveError(w, http.StatusNotFound, "no such path")
	default:
		h.ServeHTTP(w, r)
	}
}

// serveError answers {"error": "…"}. The text is ours: nothing of the request is in it.
func serveError(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text}) // the client is gone: nobody to tell
}

// serveHealth says that the process is alive, which it is if it can say so.
func serveHealth(w http.ResponseWriter, _ *http.Request) { serveWord(w, http.StatusOK, "ok") }

// serveReady says whether new connections are welcome, for whoever is in front of us.
func (s *state) serveReady(w http.ResponseWriter, _ *http.Request) {
	p := s.phase()
	if p == phaseReady {
		serveWord(w, http.StatusOK, string(p))
		return
	}
	serveWord(w, http.StatusServiceUnavailable, string(p))
}

func serveWord(w http.ResponseWriter, code int, word string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintln(w, word)
}

// phase is where in its life the balancer is: the word /readyz answers.
type phase string

const (
	phaseStarting phase = "starting"
	phaseReady    phase = "ready"
	phaseDraining phase = "draining"
)

// phase relies on a balancer being ready from the moment it exists until it is told to stop.
func (s *state) phase() phase {
	src := s.load()
	switch {
	case src == nil:
		return phaseStarting
	case src.Ready():
		return phaseReady
	}
	return phaseDraining
}

// metricsHandler serves ours and those of the Go runtime and the process.
func metricsHandler(st *state, log *slog.Logger) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		newCollector(st),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog:            scrapeLog{log},
		ErrorHandling:       promhttp.ContinueOnError, // what can be told is told
		MaxRequestsInFlight: 4,                        // a scrape copies all counters
	})
}

// scrapeLog is where promhttp reports what a scrape had to leave out.
type scrapeLog struct{ log *slog.Logger }

func (l scrapeLog) Println(v ...any) {
	l.log.Error("metrics are incomplete", "error", fmt.Sprint(v...))
}
