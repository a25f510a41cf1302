package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// orders is an ACME that has what a test says.
type orders map[string]*tls.Certificate

func (o orders) Certificate(name string) (*tls.Certificate, error) {
	if o[name] == nil {
		return nil, &Pending{Last: "refused"}
	}
	return o[name], nil
}

func (o orders) Names() (all []string) {
	for name := range o {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
func (orders) Challenge(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, ErrNone }
func (orders) Orders() Orders                                           { return Orders{} }
func (orders) Storage() string                                          { return "/storage" }
func (orders) Equal(any) bool                                           { return false }
func (orders) Start(*slog.Logger)                                       {}
func (orders) Stop()                                                    {}

func TestASetTellsWhatItHolds(t *testing.T) {
	t.Parallel()
	dir, before := t.TempDir(), time.Now()
	def := pairIn(t, t.TempDir(), "def", rsaKey(), "def.example.com", "*.def.example.com")
	def.Default = true
	one := write(t, t.TempDir(), "one.pem", certFor(t, ecKey(), life, "one.example.com"), keyPEM(t, ecKey()))
	s := open(t, &Config{Pairs: []PairFile{def, {Cert: one, Key: one}}, Dirs: []string{dir}})
	pair, err := tls.X509KeyPair(certFor(t, ecKey(), life, "got.example.com"), keyPEM(t, ecKey()))
	if err != nil {
		t.Fatal(err)
	}
	s.Order(orders{"got.example.com": &pair, "not.example.com": nil})
	if n := s.Parts(); n != 5 {
		t.Fatalf("%d parts, want 5", n)
	}
	if h := s.Held(0); h.Kind != FromFile || h.File != def.Cert || h.KeyFile != def.Key || !h.Default || h.Cert.Key != "RSA 2048" || h.Refused != nil ||
		h.Cert.Taken.Before(before) || h.Cert.Taken.After(time.Now()) || h.Cert.Certificate.Leaf.Issuer.CommonName != "root" {
		t.Errorf("the first pair: %+v", h)
	}
	if h := s.Held(1); h.KeyFile != one || h.Default || h.Cert.Names[0] != "one.example.com" {
		t.Errorf("the second pair: %+v", h)
	}
	if h := s.Held(2); h.Kind != FromDirectory || h.File != dir || h.Cert != nil || h.InUse != 0 {
		t.Errorf("a directory that nobody has asked: %+v", h)
	}
	if h := s.Held(3); h.Kind != FromACME || h.Host != "got.example.com" || h.File != "/storage" || h.Cert == nil || !h.Cert.Taken.IsZero() {
		t.Errorf("what ACME has obtained: %+v", h)
	}
	if h := s.Held(4); h.Host != "not.example.com" || h.Cert != nil || h.Pending == nil || h.Pending.Last != "refused" {
		t.Errorf("what it has not: %+v", h)
	}
}

// Of a directory it is told how many certificates are in use, which of them ends first, and a few of those that are wrong.
func TestASetTellsOfADirectoryInAFewWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, &Config{Dirs: []string{dir}})
	for i := range 30 {
		name := fmt.Sprintf("h%02d.example.com", i)
		write(t, dir, name+".pem", certFor(t, ecKey(), life+time.Duration(30-i)*time.Hour, name), keyPEM(t, ecKey()))
		write(t, dir, "b"+name+".pem")
	}
	for i := range 20 {
		name := fmt.Sprintf("h%02d.example.com", i)
		choose(s, name)
		choose(s, "b"+name)
	}
	h := s.Held(0)
	if h.InUse != 20 || h.Cert == nil || h.Cert.Names[0] != "h19.example.com" {
		t.Errorf("%+v", h)
	}
	if h.RefusedAll != 20 || len(h.Refused) != mostRefused || !strings.HasSuffix(h.Refused[0].File, "/bh00.example.com.pem") {
		t.Errorf("%d of %d refused: %v", len(h.Refused), h.RefusedAll, h.Refused)
	}
	c, err := choose(s, "h01.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if kind, part := s.From(c); kind != FromDirectory || part != -1 {
		t.Errorf("from %v, %d", kind, part)
	}
}

func TestWhyTheNewestFileIsNotShownIsTold(t *testing.T) {
	certs, key := synctestCerts(t)
	kept(t, func(dir string) *Config {
		return &Config{Hosts: []string{"a.example.com"}, Pairs: []PairFile{{Cert: write(t, dir, "a.crt", certs["a"]), Key: write(t, dir, "a.key", key)}}}
	}, func(t *testing.T, s *Set, log *journal) {
		f := s.cfg.Pairs[0]
		for _, step := range []struct {
			name string
			do   func()
			why  string // "": it is shown
		}{
			{"an empty file", func() { swap(t, f.Cert) }, "holds no certificate"},
			{"another mistake after it", func() { swap(t, f.Cert, certs["another key"]) }, "does not belong to its certificate"},
			{"a good one", func() { swap(t, f.Cert, certs["a renewed"]) }, ""},
			{"one for another host", func() { swap(t, f.Cert, certs["another name"]) }, "is for other names: there would be no certificate for a.example.com"},
			{"the one that is shown", func() { swap(t, f.Cert, certs["a renewed"]) }, ""},
		} {
			before := s.Held(0).Cert
			time.Sleep(time.Minute)
			step.do()
			time.Sleep(5 * time.Second)
			h := s.Held(0)
			switch {
			case step.why == "" && (h.Refused != nil || h.RefusedAll != 0):
				t.Errorf("%s: refused %v", step.name, h.Refused)
			case step.why != "" && (len(h.Refused) != 1 || h.Refused[0].Why != step.why || h.Cert != before):
				t.Errorf("%s: %+v", step.name, h)
			}
			if h.Cert != before && !h.Cert.Taken.After(before.Taken) {
				t.Errorf("%s: taken at %v, the one before at %v", step.name, h.Cert.Taken, before.Taken)
			}
		}
	})
}

// What there is for a name tells where it comes from, a default too.
func TestChoicesTellWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	def := pairIn(t, t.TempDir(), "def", ecKey(), "def.example.com")
	def.Default = true
	s := open(t, &Config{Pairs: []PairFile{def}})
	s.Order(orders{"got.example.com": {Leaf: &x509.Certificate{PublicKey: ecKey().Public()}}})
	for name, want := range map[string]Kind{"def.example.com": FromFile, "other.example.com": FromFile, "got.example.com": FromACME} {
		list, err := s.Choices(name)
		if err != nil {
			t.Fatal(err)
		}
		if kind, part := s.From(list[0]); kind != want || (part == 0) != (want == FromFile) {
			t.Errorf("%s: from %v, %d", name, kind, part)
		}
	}
}

// Metrics ask for the ends of all certificates, and what is refused, every second: a directory of many routes is looked at once.
func TestADirectoryOfManySetsIsLookedAtOnce(t *testing.T) {
	const n = 1000
	dir := t.TempDir()
	first, _, _ := counted(t, dir)
	m := first.dirs[0].memory
	m.present.size = n
	for i := range n {
		e := m.entry(dir, fmt.Sprintf("h%d.example.com", i))
		e.last.Store(&finding{list: []*Choice{{File: "a.pem", NotAfter: time.Now().Add(time.Duration(i) * time.Hour)}}})
		m.move(e, true)
	}
	sets := []*Set{first}
	for len(sets) < n {
		s := open(t, &Config{Dirs: []string{dir}})
		s.dirs[0].memory = m
		sets = append(sets, s)
	}
	if all := Expiries(sets); len(all) != 1 || all[0].File != dir || time.Until(all[0].NotAfter) > 0 {
		t.Fatalf("%v", all)
	}
	for name, ask := range map[string]func([]*Set){
		"ends":     func(s []*Set) { Expiries(s) },
		"refusals": func(s []*Set) { Refusals(s) },
	} { // each look makes a list of what is in memory
		one, all := testing.AllocsPerRun(1, func() { ask(sets[:1]) }), testing.AllocsPerRun(1, func() { ask(sets) })
		if all > 2*one {
			t.Errorf("%s of %d Sets take %v allocations, of one %v", name, n, all, one)
		}
	}
}
