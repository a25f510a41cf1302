package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// placed returns a Set in force with a default, and a directory in which there is a certificate for a.example.com.
func placed(t *testing.T) (s *Set, dir string, log *journal) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "certificates")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "a.example.com.pem", certFor(t, ecKey(), life, "a.example.com"), keyPEM(t, ecKey()))
	s, log, _ = counted(t, dir)
	def := pairIn(t, t.TempDir(), "default", ecKey(), "fallback.example.net")
	def.Default = true
	with := open(t, &Config{Pairs: []PairFile{def}})
	s.pairs = with.pairs
	s.index.Store(with.index.Load())
	s.dirs[0].place().accept() // as start has done for the memory before it
	return s, dir, log
}

// later asks for a name after what is remembered of it is old.
func later(s *Set, name string) (*Choice, error) {
	for _, base := range []string{name, "_." + parentOf(name), wildcardOf(name), parentOf(name)} {
		age(s, base)
	}
	return choose(s, name)
}

// What a directory that cannot be read would have is not known: nobody gets the default for it, and what was read stays.
func TestADirectoryThatIsGoneIsNoReasonForTheDefault(t *testing.T) {
	t.Parallel()
	move := func(dir string) {
		if err := os.Rename(dir, dir+" elsewhere"); err != nil {
			t.Fatal(err)
		}
	}
	back := func(dir string) {
		if err := errors.Join(os.RemoveAll(dir), os.Rename(dir+" elsewhere", dir)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		breaks func(dir string)
		why    string
		errno  error
	}{
		{"it is not there", move, "cannot be read: no such file or directory", fs.ErrNotExist},
		{"it is a file", func(dir string) { move(dir); write(t, filepath.Dir(dir), filepath.Base(dir)) }, "cannot be read: not a directory", syscall.ENOTDIR},
		{"it is a link that leads to itself", func(dir string) { move(dir); link(t, dir, dir) }, "cannot be read: too many levels of symbolic links", syscall.ELOOP},
		{"it is what is left of a mount", func(dir string) { move(dir); _ = os.Mkdir(dir, 0o700) }, "is empty, and not the directory that it was", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, dir, log := placed(t)
			known, err := choose(s, "a.example.com")
			if err != nil {
				t.Fatal(err)
			}
			if other, err := choose(s, "b.example.com"); err != nil || !other.Default {
				t.Fatalf("a name that there is no file of: %v, %v", other, err)
			}
			c.breaks(dir)
			for range 3 {
				got, err := later(s, "b.example.com")
				e, ok := errors.AsType[*Error](err)
				if got != nil || !ok || errors.Is(err, ErrNone) || e.Part != PartDir || e.File != dir || e.Why != c.why || c.errno != nil && !errors.Is(err, c.errno) {
					t.Fatalf("a name that may be in it: %v, %v", got, err)
				}
				if same, err := later(s, "a.example.com"); err != nil || same != known {
					t.Errorf("a certificate that was read before: %v, %v", same, err)
				}
			}
			_, _ = later(s, "c.example.com")
			if told := Refusals([]*Set{s}); len(told) != 1 || told[0] != (Refusal{dir, c.why}) {
				t.Errorf("refused are %v", told)
			}
			if text := log.take(); strings.Count(text, "\n") != 1 || !strings.Contains(text, c.why) || !strings.Contains(text, "hint=") {
				t.Errorf("the log says %q", text)
			}
			back(dir)
			if other, err := later(s, "b.example.com"); err != nil || !other.Default {
				t.Errorf("once it is back: %v, %v", other, err)
			}
			if told := Refusals([]*Set{s}); told != nil {
				t.Errorf("once it is back, refused are %v", told)
			}
		})
	}
}

// That a directory could not be read is over when it can be, whether or not somebody asks for what was asked for then.
func TestADirectoryThatIsBackIsFoundByTheKeeper(t *testing.T) {
	kept(t, func(dir string) *Config { return &Config{Dirs: []string{dir}} }, func(t *testing.T, s *Set, _ *journal) {
		dir := s.cfg.Dirs[0]
		write(t, dir, "README")
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		if _, err := choose(s, "a.example.com"); err == nil || errors.Is(err, ErrNone) {
			t.Fatalf("a directory that is away: %v", err)
		}
		time.Sleep(time.Minute)
		if told := Refusals([]*Set{s}); len(told) != 1 || told[0] != (Refusal{dir, "cannot be read: no such file or directory"}) {
			t.Errorf("refused are %v", told)
		}
		if err := os.Rename(dir+".away", dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * interval)
		if told := Refusals([]*Set{s}); told != nil {
			t.Errorf("once it is back, refused are %v", told)
		}
	})
}

// An empty directory is one in which there is nothing, if it was so when a configuration was first put in force, or if it has
// become empty; and one that took the place of another is as good as that if there is something in it.
func TestADirectoryMayBeEmptyOrAnotherOne(t *testing.T) {
	t.Parallel()
	s, dir, _ := placed(t)
	isDefault := func(when string) {
		t.Helper()
		if c, err := later(s, "a.example.com"); err != nil || !c.Default {
			t.Errorf("%s: %v, %v", when, c, err)
		}
	}
	remove(t, filepath.Join(dir, "a.example.com.pem"))
	isDefault("emptied by hand")
	write(t, dir, "a.example.com.pem", certFor(t, ecKey(), life, "a.example.com"), keyPEM(t, ecKey()))
	if c, err := later(s, "a.example.com"); err != nil || c.Default {
		t.Fatalf("a new file: %v, %v", c, err)
	}

	replace := func(names ...string) {
		t.Helper()
		next := t.TempDir()
		for _, n := range names {
			write(t, next, n)
		}
		if err := errors.Join(os.Rename(dir, filepath.Join(t.TempDir(), "old")), os.Rename(next, dir), os.Mkdir(next, 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	replace("README")
	isDefault("replaced by one with other files")
	replace()
	if c, err := later(s, "a.example.com"); err == nil {
		t.Errorf("replaced by an empty one: %v", c)
	}
	other := open(t, &Config{Dirs: []string{dir}})
	other.dirs[0].memory = s.dirs[0].memory
	other.start(slog.New(slog.DiscardHandler))
	if c, err := later(s, "a.example.com"); err == nil {
		t.Errorf("another route of the directory was put in force meanwhile: %v", c)
	}
	write(t, dir, "README")
	isDefault("with any file in it")

	s, dir, _ = placed(t)
	remove(t, filepath.Join(dir, "a.example.com.pem"))
	s.dirs[0].place().accept()
	replace()
	isDefault("empty from the start, and replaced by an empty one")
}

// A file that is not found in a directory that is replaced meanwhile is looked for again.
func TestAnotherDirectoryIsLookedAtFromTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newCache(1).place(dir)
	looks := 0
	if lost := p.during(func() error { looks++; return nil }); lost != nil || looks != 2 {
		t.Errorf("the first look: %d looks, %v; want 2, of which the first has learnt which directory it is", looks, lost)
	}
	looks = 0
	swapDir := func() error {
		if looks++; looks < 3 {
			next := t.TempDir()
			write(t, next, "a file")
			return errors.Join(os.Rename(dir, filepath.Join(t.TempDir(), "old")), os.Rename(next, dir), os.Mkdir(next, 0o700))
		}
		return nil
	}
	if lost := p.during(swapDir); lost != nil || looks != 3 {
		t.Errorf("a directory that was replaced twice: %d looks, %v; want 3", looks, lost)
	}
	looks = -10
	if lost := p.during(swapDir); lost == nil || !lost.outage {
		t.Errorf("a directory that is replaced all the time: %v", lost)
	}
}

// Files that the system would not open are told of once a minute, however many names are asked for.
func TestAnOutageDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	s, dir, log := placed(t)
	m := s.dirs[0].memory
	m.load = func(f PairFile) (loaded, Errors) {
		return loaded{}, Errors{unreadable(f.Cert, &fs.PathError{Op: "open", Path: f.Cert, Err: syscall.EMFILE})}
	}
	ask := func(name string) {
		t.Helper()
		if c, err := later(s, name); c != nil || !errors.Is(err, syscall.EMFILE) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	const names = 50
	for i := range names {
		name := fmt.Sprintf("n%d.example.com", i)
		write(t, dir, name+".pem")
		ask(name)
	}
	text := log.take()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, "too many open files") || !strings.Contains(text, "LimitNOFILE") ||
		!strings.Contains(text, filepath.Join(dir, "n0.example.com.pem")) {
		t.Errorf("the log says %q", text)
	}
	m.place(dir).told.next.Store(time.Now().UnixNano()) // a minute later
	ask("n0.example.com")
	if text := log.take(); !strings.Contains(text, fmt.Sprintf("suppressed=%d", names-1)) {
		t.Errorf("a minute later the log says %q", text)
	}
	m.load = load
	if _, err := later(s, "n0.example.com"); err == nil || !strings.Contains(log.take(), "holds no certificate") {
		t.Errorf("a file that can be opened again and is broken: %v", err)
	}
}

func TestADirectoryThatMayNotBeSearchedIsAnOutage(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may search every directory")
	}
	s, dir, log := placed(t)
	chmod(t, dir, 0)
	defer chmod(t, dir, 0o700)
	if c, err := later(s, "a.example.com"); c != nil || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v, %v", c, err)
	}
	if text := log.take(); !strings.Contains(text, "let the user of this process read it") {
		t.Errorf("the log says %q", text)
	}
}

// answered asks until there is an answer. To a patience that is short, so that a test is, a busy machine looks like a file system
// that does not answer; one that does not answer goes on not to.
func answered(ask func() (*Choice, error)) (c *Choice, err error) {
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if c, err = ask(); err == nil || time.Since(began) > time.Minute {
			return c, err
		}
	}
}

// A file system that does not answer keeps a few who look into one directory. Whoever comes then is told so in time, or shown
// what was read before, and nobody the default.
func TestADirectoryThatDoesNotAnswerKeepsAFew(t *testing.T) {
	t.Parallel()
	s, _, log := placed(t)
	if _, err := choose(s, "a.example.com"); err != nil {
		t.Fatal(err)
	}
	p := s.dirs[0].place()
	p.patience = 200 * time.Millisecond
	answers := make(chan struct{})
	var kept sync.WaitGroup
	for i := range mostInside {
		held := make(chan struct{})
		kept.Go(func() {
			leave, stuck := p.enter(make(chan struct{}, 1))
			if stuck != nil {
				t.Errorf("number %d: %v", i, stuck)
			}
			close(held)
			<-answers
			leave()
		})
		<-held
	}
	began := time.Now()
	if c, err := later(s, "a.example.com"); err != nil || c.Names[0] != "a.example.com" {
		t.Errorf("what was read before: %v, %v", c, err)
	}
	for _, name := range []string{"b.example.com", "b.example.com", "c.example.com"} {
		c, err := later(s, name)
		e, ok := errors.AsType[*Error](err)
		if c != nil || !ok || e.Why != "does not answer" || e.Part != PartDir {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	if took := time.Since(began); took < p.patience {
		t.Errorf("nobody has waited: all were answered in %v", took)
	}
	if text := log.take(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "does not answer") {
		t.Errorf("the log says %q", text)
	}
	close(answers)
	kept.Wait()
	if c, err := answered(func() (*Choice, error) { return later(s, "b.example.com") }); err != nil || !c.Default {
		t.Errorf("a name that there is no file of, once it answers: %v, %v", c, err)
	}
}

// One name whose files do not answer keeps nobody who asks for another.
func TestFilesThatDoNotAnswerKeepNobodyElse(t *testing.T) {
	t.Parallel()
	s, dir, _ := placed(t)
	p := s.dirs[0].place()
	p.patience = 200 * time.Millisecond
	e := s.dirs[0].memory.entry(dir, "b.example.com")
	leave, stuck := p.enter(e.turn)
	if stuck != nil {
		t.Fatal(stuck)
	}
	if c, err := choose(s, "b.example.com"); c != nil || err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("the name itself: %v, %v", c, err)
	}
	if c, err := answered(func() (*Choice, error) { return later(s, "a.example.com") }); err != nil || c.Names[0] != "a.example.com" {
		t.Errorf("another name: %v, %v", c, err)
	}
	leave()
	for began := time.Now(); len(p.inside) > 0 || len(e.turn) > 0; time.Sleep(time.Millisecond) { // whoever was left alone
		if time.Since(began) > time.Minute {
			t.Fatalf("at the end %d are inside, %d at the files", len(p.inside), len(e.turn))
		}
	}
}
