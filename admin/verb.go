package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/control"
)

// Bounds on what a request may carry and take. The body of a check is a whole file; the largest that is loaded has
// 64 MiB.
const (
	maxBody      = 1 << 20
	maxCheckBody = 64 << 20
	bodyTimeout  = 30 * time.Second // for a body to arrive
	verbTimeout  = 60 * time.Second // for what is asked for to be done
)

// verb is one method of one path of the JSON API. It parses strictly, asks the balancer or the control plane, and
// encodes what it is told.
type verb struct {
	state *state
	log   *slog.Logger

	query  []string // parameters it knows
	body   int64    // most bytes of a body; 0: there must be none
	writes bool     // it may change something, and is logged
	early  bool     // it needs no balancer: handle gets a nil *api
	handle func(a *api, r *request) (any, error)
}

// request is what a verb is asked.
type request struct {
	http   *http.Request
	query  *query
	body   []byte
	origin string // what messages and revisions call it: "PUT /v1/routes/api"
}

// value is a part of the path.
func (r *request) value(name string) string { return r.http.PathValue(name) }

// ServeHTTP implements http.Handler. The deadlines are those of the verb from here on: a reload may take seconds, and
// the time to write the answer begins when there is one.
func (v *verb) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	deadline := http.NewResponseController(w)
	if v.body > 0 {
		_ = deadline.SetReadDeadline(time.Now().Add(bodyTimeout)) // what cannot have one has no slow client either
	}
	_ = deadline.SetWriteDeadline(time.Now().Add(bodyTimeout + verbTimeout + writeTimeout))
	answer, err := v.answer(w, r)
	_ = deadline.SetWriteDeadline(time.Now().Add(writeTimeout))
	if v.writes {
		v.record(r, answer, err)
	}
	if err != nil {
		serveProblem(w, err)
		return
	}
	serveJSON(w, http.StatusOK, answer)
}

// answer does what r asks for.
func (v *verb) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	a := v.state.api()
	if a == nil && !v.early {
		return nil, errStarting
	}
	asked := &request{http: r, query: parseQuery(r.URL.RawQuery, v.query), origin: r.Method + " " + r.URL.EscapedPath()}
	if err := asked.query.err(); err != nil {
		return nil, err
	}
	var err error
	if asked.body, err = readBody(w, r, v.body); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), verbTimeout)
	defer cancel()
	asked.http = r.WithContext(ctx)
	return v.handle(a, asked)
}

// readBody reads at most most bytes, all of what the client sends.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if most > 0 && r.ContentLength > most {
		return nil, tooLarge(most)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	_, large := errors.AsType[*http.MaxBytesError](err)
	switch {
	case large && most == 0:
		return nil, badRequest("", "there must be no body here")
	case large:
		return nil, tooLarge(most)
	case err != nil:
		return nil, badRequest("", "the body cannot be read: %v", err)
	}
	return body, nil
}

func tooLarge(most int64) *APIError {
	return &APIError{
		Status: http.StatusRequestEntityTooLarge, Message: "the body is larger than " + FormatBytes(uint64(most)),
		Hint: "make several smaller changes, or change the file and reload",
	}
}

// record logs who asked for what and what came of it. Nothing of a body is in it, and what the client has chosen is
// escaped and cut.
func (v *verb) record(r *http.Request, answer any, err error) {
	attrs := []slog.Attr{slog.String("verb", cut(r.Method+" "+r.URL.EscapedPath()))}
	if uid := userOf(r.Context()); uid >= 0 {
		attrs = append(attrs, slog.Int64("uid", uid))
	}
	switch res := answer.(type) {
	case *control.Result:
		attrs = append(attrs, slog.Uint64("revision", res.Revision), slog.String("summary", cut(res.Summary)))
		if res.DryRun {
			attrs = append(attrs, slog.Bool("dry_run", true))
		}
	case *Killed:
		attrs = append(attrs, slog.Int("killed", res.Killed))
	}
	status := http.StatusOK
	if err != nil {
		p := problem(err)
		status = p.Status
		attrs = append(attrs, slog.String("error", cut(p.Message)))
	}
	v.log.LogAttrs(r.Context(), slog.LevelInfo, "admin request", append(attrs, slog.Int("status", status))...)
}

// cut keeps the first line of s, and no more of it than a log line should hold.
func cut(s string) string {
	const most = 256
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}
