package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs"
	"github.com/seed-23b4a313/switchyard/control"
)

// managed is a file under control, with the log it asks for.
type managed struct {
	*control.Manager
	path  string // of the file
	log   *slog.Logger
	lines *logWriter // what log writes to; nil: something that no line is lost of
}

// logLost is how many lines of the log could not be written.
func (m *managed) logLost() uint64 {
	if m.lines == nil {
		return 0
	}
	return m.lines.Lost()
}

// service is a running balancer with what changes it and the pages that show it.
type service struct {
	*managed
	balancer *balancer.Server
	admin    *admin.Server
}

// startService starts what m describes, and takes m over, whatever happens. The admin pages come first, so that whoever
// watches them sees "starting" and not a refused connection. After an error nothing is left open.
func startService(m *managed) (*service, error) {
	s := &service{managed: m, admin: admin.New(admin.Options{Version: version(), Log: m.log})}
	cfg := m.Config()
	err := s.startAdmin(&cfg.Admin)
	if err == nil {
		s.balancer, err = balancer.New(&cfg.Balancer, balancer.Options{Log: m.log, LogLost: m.logLost, LogConnections: cfg.Log.Connections})
	}
	if err != nil {
		s.closeAdmin()
		m.Close()
		return nil, explainListen(err)
	}
	m.Start(s.balancer)
	s.admin.SetControl(s.balancer, m.Manager)
	s.announce(cfg)
	return s, nil
}

func (s *service) startAdmin(cfg *configs.Admin) error {
	if cfg.Socket != "" {
		if err := s.admin.ListenUnix(cfg.Socket); err != nil {
			return explainSocket(cfg.Socket, err)
		}
	}
	if cfg.Listen.IsValid() {
		return s.admin.ListenTCP(cfg.Listen.String())
	}
	return nil
}

// adminGrace is how long a request for the admin pages may take to end once the balancer is gone.
const adminGrace = time.Second

func (s *service) closeAdmin() {
	ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
	defer cancel()
	if err := s.admin.Close(ctx); err != nil {
		s.log.Warn("admin pages closed in the middle of a request", "error", err)
	}
}

// stop drains as the configuration says, or until ctx is done. It returns how many connections it had to close. Nothing
// is changed any more from the moment it is called.
func (s *service) stop(ctx context.Context) int {
	s.Close()
	cut := s.balancer.Shutdown(ctx)
	s.closeAdmin()
	return cut
}

// runUntil serves until a signal that means stop, and drains then. Another signal ends the draining at once; one more
// ends the process as the kernel does it, should even that hang.
func (s *service) runUntil(caught signals) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go s.reloadOnDemand(ctx, caught.reload)
	sig := <-caught.stop
	began := time.Now()
	s.log.Info("draining", "signal", sig.String(), "connections", s.balancer.Stats().Connections)
	go s.hurry(ctx, caught, cancel)
	cut := s.stop(ctx)
	s.log.Info("stopped", "connections_cut", cut, "duration_s", time.Since(began).Seconds())
}

// hurry calls cancel when a signal that means stop comes before ctx is done.
func (s *service) hurry(ctx context.Context, caught signals, cancel func()) {
	select {
	case <-ctx.Done():
	case sig := <-caught.stop:
		s.log.Warn("stopping at once", "signal", sig.String(), "connections", s.balancer.Stats().Connections)
		signal.Stop(caught.stop)
		cancel()
	}
}

// reloadOnDemand loads the file for every SIGHUP, until ctx is done; several of them that come during one reload are one more.
// What comes of it is logged by the Manager.
func (s *service) reloadOnDemand(ctx context.Context, asked <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			_, _ = s.Reload(ctx, control.ReloadRequest{Origin: control.OriginSignal})
		}
	}
}

// explainSocket adds what can be done about an admin socket that could not be made.
func explainSocket(path string, err error) error {
	dir := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return withHint(err, "make the directory %s first; in a unit of systemd RuntimeDirectory= does", shown(dir))
	case errors.Is(err, fs.ErrPermission):
		return withHint(err, "let the user of this process write to the directory %s, or set another admin.socket", shown(dir))
	}
	return err
}

// explainListen adds what can be done about an address that could not be had.
func explainListen(err error) error {
	if _, told := errors.AsType[*failure](err); told {
		return err
	}
	bind, ok := errors.AsType[*balancer.BindError](err)
	switch {
	case ok && bind.Hint != "":
		return withHint(err, "%s", bind.Hint)
	case errors.Is(err, syscall.EADDRINUSE):
		return withHint(err, "another process listens there, perhaps a second switchyard: ss -ltnp shows which")
	case errors.Is(err, syscall.EACCES):
		return withHint(err, "ports below 1024 need CAP_NET_BIND_SERVICE; other addresses and files need no root")
	}
	return err
}

// announce logs what is served, the warnings about the file, and the limits that were derived.
func (s *service) announce(cfg *configs.Config) {
	for i := range cfg.Balancer.Listeners {
		name := cfg.Balancer.Listeners[i].Name
		for _, addr := range s.balancer.Addrs(name) {
			s.log.Info("listening", "listener", name, "address", addr.String())
		}
	}
	if addr := s.admin.Addr(); addr.IsValid() {
		s.log.Info("admin pages", "address", fmt.Sprintf("http://%s/", addr))
	}
	for _, w := range cfg.Warnings {
		s.log.Warn(w.Msg, "at", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Col))
	}
	s.log.Info("started", "version", version(), "config", s.path,
		"routes", len(cfg.Balancer.Routes), "pools", len(cfg.Balancer.Pools), limits(s.balancer.Limits()))
}
