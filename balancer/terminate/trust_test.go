package terminate

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// clientFiles are the files of a ClientAuth.
type clientFiles struct{ ca, crl string }

func newClientFiles(t *testing.T) clientFiles {
	t.Helper()
	dir := t.TempDir()
	return clientFiles{filepath.Join(dir, "ca"), filepath.Join(dir, "crl")}
}

func (f clientFiles) put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".next", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		t.Fatal(err)
	}
}

func (f clientFiles) trust(t *testing.T, all ...issuer) {
	t.Helper()
	var data []byte
	for _, i := range all {
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})...)
	}
	f.put(t, f.ca, data)
}

func (f clientFiles) revoke(t *testing.T, lists ...[]byte) {
	t.Helper()
	f.put(t, f.crl, slices.Concat(lists...))
}

func (f clientFiles) policy(t *testing.T) *Policy {
	t.Helper()
	p, err := NewPolicy(Config{Certificates: oneSource{}, ClientAuth: &ClientAuth{CA: f.ca, CRL: f.crl}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// damage puts what is no base64 into the first block of a file.
func damage(file []byte) []byte {
	return bytes.Replace(file, []byte("-----\nM"), []byte("-----\n*"), 1)
}

// inDER is what the first block of a file holds.
func inDER(t *testing.T, file []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(file)
	if block == nil {
		t.Fatal("no PEM")
	}
	return block.Bytes
}

// chains is what crypto/tls hands over of a client.
func chains(leaf *x509.Certificate, above ...issuer) [][]*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	for _, i := range above {
		chain = append(chain, i.cert)
	}
	return [][]*x509.Certificate{chain}
}

// names are whose certificates p trusts, and whose lists it goes by, with their signers: "a b/a".
func (p *Policy) names() string {
	now := p.trust.Load()
	var trusted, lists []string
	for _, c := range now.terms.trusted.all {
		trusted = append(trusted, c.Subject.CommonName)
	}
	for _, all := range now.lists {
		for _, l := range all {
			if l.signer != nil && slices.Contains(now.terms.trusted.all, l.signer) {
				lists = append(lists, l.Issuer.CommonName)
			}
		}
	}
	slices.Sort(lists)
	return strings.Join(trusted, " ") + "/" + strings.Join(lists, " ")
}

// Authorities and their lists are taken together or one by one, but never so that they do not go together. Whatever is not taken
// is told once, and if it only does not go with the other file, not at the first look.
func TestAuthoritiesAndTheirListsAreFollowedTogether(t *testing.T) {
	t.Parallel()
	a, b, c := newIssuer(t, "a"), newIssuer(t, "b"), newIssuer(t, "c")
	again := newIssuer(t, "a") // the name of a with another key
	end := time.Now().Add(30 * 24 * time.Hour)
	listA, listB, listC, listAgain := a.list(t, end), b.list(t, end), c.list(t, end), again.list(t, end)
	const taken = "a changed file is in force"
	authority := func(i issuer) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}))
	}
	damaged := func(i issuer) string { return string(damage([]byte(authority(i)))) }
	type step struct {
		do   func(f clientFiles)
		want string   // what is in force after it
		said []string // in each line of the log
	}
	trust := func(all ...issuer) func(clientFiles) { return func(f clientFiles) { f.trust(t, all...) } }
	revoke := func(lists ...[]byte) func(clientFiles) { return func(f clientFiles) { f.revoke(t, lists...) } }
	caIs := func(text string) func(clientFiles) { return func(f clientFiles) { f.put(t, f.ca, []byte(text)) } }
	crlIs := func(text string) func(clientFiles) { return func(f clientFiles) { f.put(t, f.crl, []byte(text)) } }
	nothing := func(clientFiles) {}
	both := func(all ...func(clientFiles)) func(clientFiles) {
		return func(f clientFiles) {
			for _, do := range all {
				do(f)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"an authority comes, and goes", []step{
			{trust(a, b), "a b/a", []string{taken}}, {nothing, "a b/a", nil}, {trust(a), "a/a", []string{taken}},
		}},
		{"a file that is no more", []step{
			{func(f clientFiles) { os.Remove(f.ca) }, "a/a", []string{"cannot be read: no such file"}},
			{nothing, "a/a", nil}, {trust(a, b), "a b/a", []string{taken}},
		}},
		{"no certificate", []step{
			{caIs("text"), "a/a", []string{"it holds no certificate"}}, {nothing, "a/a", nil}, {trust(a), "a/a", nil},
			{caIs(""), "a/a", []string{"it holds no certificate"}},
		}},
		{"an authority without a list waits for it", []step{
			{trust(b), "a/a", nil}, {nothing, "a/a", []string{"crl: that one holds no list"}}, {nothing, "a/a", nil},
			{revoke(listB), "b/b", []string{taken, taken}}, {nothing, "b/b", nil},
		}},
		{"a list without its authority waits for it", []step{
			{revoke(listB), "a/a", nil}, {nothing, "a/a", []string{"no list of any authority in ca"}}, {nothing, "a/a", nil},
			{trust(b), "b/b", []string{taken, taken}},
		}},
		{"a swap of both, seen in the middle", []step{{trust(b), "a/a", nil}, {revoke(listB), "b/b", []string{taken, taken}}}},
		{"a swap of both at once", []step{{both(trust(b), revoke(listB)), "b/b", []string{taken, taken}}}},
		{"a swap that is taken back", []step{
			{trust(b), "a/a", nil}, {trust(a), "a/a", nil}, {trust(b), "a/a", nil}, {nothing, "a/a", []string{"does not go with"}},
		}},
		{"a good authority beside lists of others", []step{
			{both(trust(a, b), revoke(listC)), "a b/a", []string{taken}}, {nothing, "a b/a", []string{"no list of any authority in ca"}},
			{trust(c), "c/c", []string{taken, taken}},
		}},
		{"good lists beside an authority without one", []step{
			{both(trust(c), revoke(listA, listB)), "a/a", []string{taken}}, {nothing, "a/a", []string{"does not go with"}},
			{revoke(listA, listC), "c/c", []string{taken, taken}},
		}},
		{"neither goes with anything", []step{
			{both(trust(b), revoke(listC)), "a/a", nil}, {nothing, "a/a", []string{"does not go with", "no list of any"}},
			{revoke(listC, listB), "b/b", []string{taken, taken}},
		}},
		{"a good authority beside a broken list", []step{
			{both(trust(a, b), crlIs("text")), "a b/a", []string{"no list of revoked certificates", taken}}, {revoke(listB), "a b/b", []string{taken}},
		}},
		{"a good list beside a broken authority", []step{
			{both(caIs("text"), revoke(listA, listB)), "a/a", []string{"no certificate", taken}}, {trust(b), "b/b", []string{taken}},
		}},
		{"a damaged authority beside a sound one", []step{
			{caIs(damaged(b) + authority(a)), "a/a", []string{"it is damaged: block 1 (CERTIFICATE, line 1) is not base64 in line 2"}}, {nothing, "a/a", nil},
			{trust(a, b), "a b/a", []string{taken}},
		}},
		{"an authority that is cut off", []step{
			{caIs(authority(a) + authority(b)[:99]), "a/a", []string{"has no END"}}, {trust(a, b), "a b/a", []string{taken}},
		}},
		{"a damaged list beside a sound one", []step{
			{trust(a, b), "a b/a", []string{taken}}, {revoke(listA, listB), "a b/a b", []string{taken}},
			{revoke(listA, damage(listB)), "a b/a b", []string{"it is damaged: block 2 (X509 CRL, line "}}, {nothing, "a b/a b", nil},
			{revoke(listA), "a b/a", []string{taken}},
		}},
		{"two lists in DER, one after the other", []step{
			{revoke(inDER(t, listA), inDER(t, listB)), "a/a", []string{"it holds something after a list in DER"}}, {revoke(inDER(t, listA)), "a/a", []string{taken}},
		}},
		{"an authority with another key waits for its list", []step{
			{trust(again), "a/a", nil}, {nothing, "a/a", []string{"is not signed by it"}}, {revoke(listAgain), "a/a", []string{taken, taken}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newClientFiles(t)
			f.trust(t, a)
			f.revoke(t, listA)
			p := f.policy(t)
			now := time.Now()
			for i, s := range tt.steps {
				s.do(f)
				var log bytes.Buffer
				now = now.Add(lookEvery)
				p.trusted(now, slog.New(slog.NewTextHandler(&log, nil)), here)
				if got := p.names(); got != s.want {
					t.Errorf("step %d: in force is %q, want %q", i, got, s.want)
				}
				lines := slices.DeleteFunc(slices.Collect(strings.Lines(log.String())), func(l string) bool {
					return strings.Contains(l, "there is no list of") // which is tried by itself
				})
				for k, want := range s.said {
					if k >= len(lines) || !strings.Contains(lines[k], want) {
						t.Errorf("step %d: no line %d with %q", i, k, want)
					}
				}
				for _, l := range lines {
					if strings.Contains(l, "cannot be used") == strings.Contains(l, taken) || strings.Contains(l, "cannot be used") && !strings.Contains(l, ` hint="`) {
						t.Errorf("step %d: a line says %q", i, l)
					}
				}
				if len(lines) != len(s.said) {
					t.Errorf("step %d: the log says %q", i, lines)
				}
			}
		})
	}
}

// A file that was refused and is another one by now is told of anew: somebody has tried to repair it.
func TestEachChangeThatIsRefusedIsToldOf(t *testing.T) {
	t.Parallel()
	f := newClientFiles(t)
	a, b := newIssuer(t, "a"), newIssuer(t, "b")
	f.trust(t, a)
	f.revoke(t, a.list(t, time.Now().Add(100*24*time.Hour)))
	p := f.policy(t)
	log := &strings.Builder{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	now := time.Now()
	for _, step := range []struct {
		name string
		do   func()
		says string
	}{
		{"no certificate", func() { f.put(t, f.ca, []byte("nothing")) }, "it holds no certificate"},
		{"nor this", func() { f.put(t, f.ca, []byte("nothing again")) }, "it holds no certificate"},
		{"one that no list is of", func() { f.trust(t, b) }, "it does not go with"},
	} {
		log.Reset()
		step.do()
		for range 4 {
			now = now.Add(time.Second)
			p.Follow(now, logger)
		}
		if n := strings.Count(log.String(), step.says); n != 1 {
			t.Errorf("%s: %d lines:\n%s", step.name, n, log)
		}
	}
}
