package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/configs"
)

// socketFlag is how a command finds the running balancer: by its socket, or by the file that says where that is.
type socketFlag struct {
	path   string
	config string // "": the default file
}

func (s *socketFlag) add(cmd *cobra.Command) {
	s.addPath(cmd)
	cmd.Flags().StringVarP(&s.config, "config", "c", "", "configuration `FILE` that names the socket (default "+defaultConfig+")")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

// addPath is for commands that have a configuration file anyway.
func (s *socketFlag) addPath(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.path, "socket", "", "unix socket at `PATH` that the running balancer answers on (default admin.socket of the configuration file)")
}

// find returns the path of the socket.
func (s *socketFlag) find() (string, error) {
	if s.path != "" {
		return s.path, nil
	}
	file := s.config
	if file == "" {
		file = defaultConfig
	}
	if path := configs.SocketOf(file); path != "" {
		return path, nil
	}
	const hint = "say where the balancer answers: --socket PATH, or -c with the file that it runs"
	f, err := os.Open(file)
	if err != nil {
		return "", withHint(err, hint)
	}
	f.Close()
	return "", withHint(fmt.Errorf("%s names no admin.socket", shown(file)), hint)
}

// connect returns a client for the running balancer, which answers nobody before it is asked. It must be closed.
func (s *socketFlag) connect() (*peer, error) {
	path, err := s.find()
	if err != nil {
		return nil, err
	}
	return &peer{Client: admin.NewClient(path), path: path}, nil
}

// talk connects, and has do ask what it likes until a signal ends that.
func (s *socketFlag) talk(do func(ctx context.Context, p *peer) error) error {
	p, err := s.connect()
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := untilSignal()
	defer cancel()
	return do(ctx, p)
}

// peer is the running balancer at the other end of a socket.
type peer struct {
	*admin.Client
	path string
}

// askTimeout is how long an answer may take. A reload of 100 000 routes takes about a second; names that do not resolve
// and a body that comes slowly may add to it.
const askTimeout = 2 * time.Minute

// get asks for path, and decodes the answer into out. It returns the answer as it came, too.
func (p *peer) get(ctx context.Context, call admin.Call, out any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	raw, err := p.Do(ctx, call, out)
	if err != nil {
		return nil, p.explain(err)
	}
	return raw, nil
}

// explain gives err its exit status, and says what can be done about it.
func (p *peer) explain(err error) error {
	if refused, ok := errors.AsType[*admin.APIError](err); ok {
		return explainRefusal(refused)
	}
	unanswered := fmt.Errorf("nobody answers on %s: %w", shown(p.path), err)
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		unanswered = fmt.Errorf("nobody answers on %s: %w", shown(p.path), errno)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return withHint(unanswered, "is switchyard running, with this as its admin.socket? --socket names another")
	case errors.Is(err, syscall.ECONNREFUSED) && !isSocket(p.path):
		return withHint(unanswered, "it is a file, and not a socket")
	case errors.Is(err, syscall.ECONNREFUSED):
		return withHint(unanswered, "the process that made this socket is gone: start switchyard again")
	case errors.Is(err, fs.ErrPermission):
		return withHint(unanswered, "root and the user that switchyard runs as may ask: try sudo")
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		strings.Contains(err.Error(), "server closed idle connection"): // net/http exports no value for it
		return withHint(fmt.Errorf("hung up on by %s: %w", shown(p.path), err),
			"root and the user that switchyard runs as get an answer, on 64 connections at a time")
	case errors.Is(err, context.Canceled):
		return withHint(errors.New("interrupted before the answer came"), "switchyard status shows whether something was changed")
	}
	return unanswered
}

// isSocket reports whether there is a socket at path.
func isSocket(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Type() == fs.ModeSocket
}

// explainRefusal tells what the balancer has said. Mistakes look as `check` prints them, with its exit status; a file that could
// not be read, or an address that cannot be had, has no place in a text, and fails as it does for `check` and `run`.
func explainRefusal(e *admin.APIError) error {
	f := &failure{code: exitFailed, err: e, hint: e.Hint}
	switch {
	case e.Status == http.StatusUnprocessableEntity && len(e.Mistakes) == 1 && e.Mistakes[0].File == "":
		f.hint = cmp.Or(f.hint, e.Mistakes[0].Hint)
	case e.Status == http.StatusUnprocessableEntity:
		f.code = exitConfig
		if text := mistakesText(e); text != "" {
			f.err, f.plain = errors.New(text), true
		}
	case e.Status == http.StatusBadRequest:
		f.code = exitUsage
	}
	return f
}

// mistakesText is every mistake, one after the other; "" if there is none.
func mistakesText(e *admin.APIError) string {
	texts := make([]string, len(e.Mistakes))
	for i := range e.Mistakes {
		texts[i] = e.Mistakes[i].Text
	}
	return strings.Join(texts, "\n")
}

// ask is the whole of a command that asks one thing: it connects, makes call, and prints the answer as it came or has
// print show it.
func ask[T any](cmd *cobra.Command, s *socketFlag, o *outputFlag, call admin.Call, print func(io.Writer, *T)) error {
	asJSON, err := o.json()
	if err != nil {
		return err
	}
	return s.talk(func(ctx context.Context, p *peer) error {
		answer := new(T)
		raw, err := p.get(ctx, call, answer)
		switch {
		case err != nil:
			return err
		case asJSON:
			_, err = cmd.OutOrStdout().Write(raw)
			return err
		}
		print(cmd.OutOrStdout(), answer)
		return nil
	})
}

// writeJSON prints what with the layout that the API has.
func writeJSON(w io.Writer, what any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(what)
}
