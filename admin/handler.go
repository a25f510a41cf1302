package admin

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newHandlers returns what is served on TCP and on the unix socket.
func newHandlers(st *state, log *slog.Logger) (tcp, unix http.Handler) {
	public := pages(st, log)
	return public, append(public, verbs(st, log)...)
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
