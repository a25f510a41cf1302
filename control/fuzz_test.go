package control

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A state file is read whole or not at all, and what was read is written so that it is read again.
func FuzzReadState(f *testing.F) {
	for _, text := range []string{
		``, `{}`, `{"version": 1}`, `{"version": 2}`,
		`{"version": 1, "revision": 7, "digest": "x", "entries": [{"kind": "route", "name": "r", "text": "{}", "origin": "PUT", "at": "2026-01-02T03:04:05Z", "on_reload": "keep"}]}`,
		`{"version": 1, "backends": [{"pool": "web", "address": "127.0.0.1:1", "state": "drain", "weight": 3, "origin": "PUT", "at": "2026-01-02T03:04:05Z", "on_reload": "drop"}]}`,
		`{"version": 1, "backends": [{"state": "off"}]}`, `{"version": 1, "entries": null} x`,
	} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "state.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := readState(path)
		if err != nil {
			return
		}
		settings, err := s.settingsOf()
		if err != nil {
			t.Fatalf("read, and yet: %v", err)
		}
		d := &desired{source: &source{digest: s.Digest}, entries: s.entriesOf()}
		again := stateOf(d, settings, s.Revision)
		if err := writeState(path, again); err != nil {
			t.Fatal(err)
		}
		got, err := readState(path)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if d := cmp.Diff(again, got, cmp.AllowUnexported(stateEntry{}, stateBackend{})); d != "" {
			t.Errorf("(-written +read)\n%s", d)
		}
	})
}
