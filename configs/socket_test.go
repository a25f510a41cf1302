package configs

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheSocketIsFoundInAFileThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	beside := filepath.Join(dir, "run", "a.sock")
	for _, c := range []struct{ name, text, want string }{
		{"a sound file", "admin: {socket: run/a.sock}\n" + small, beside},
		{"in block style", small + "admin:\n  # where\n\n  listen: 127.0.0.1:9901\n  socket: run/a.sock\n", beside},
		{"an absolute path", "admin: {socket: /run/a.sock}\n" + small, "/run/a.sock"},
		{"mistakes elsewhere", "admin:\n  listen: 9901\n  socket: run/a.sock\n  sokket: x\nlisteners: 7\n", beside},
		{"no YAML elsewhere", "admin:\n  socket: run/a.sock\nroutes: [{\nlisteners:\n\t- x: \"\n", beside},
		{"no YAML before it", "listeners:\n  - {name: \"\n\nadmin:\n  socket: run/a.sock\n", beside},
		{"JSON", `{"listeners": [], "admin": {"socket": "run/a.sock"}}`, beside},
		{"a quoted key", "\"admin\":\n  socket: run/a.sock\n", beside},
		{"the end without a line feed", "admin:\n  socket: run/a.sock", beside},
		{"a key that only begins like it", "administrators: {socket: run/b.sock}\nadmin: {socket: run/a.sock}\n", beside},
		{"an alias", "paths: &a run/a.sock\nadmin: {socket: *a}\n", beside},
		{"an admin without a socket", "admin: {listen: \"127.0.0.1:9901\"}\n" + small, ""},
		{"no admin", small, ""},
		{"a socket that is none", "admin: {socket: [a]}\n" + small, ""},
		{"no YAML at all", "\x00\xff", ""},
		{"nothing", "", ""},
	} {
		path := filepath.Join(dir, "switchyard.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := SocketOf(path); got != c.want {
			t.Errorf("%s: %q; want %q", c.name, got, c.want)
		}
	}
	if got := SocketOf(filepath.Join(dir, "missing.yaml")); got != "" {
		t.Errorf("a file that is not there: %q", got)
	}
}
