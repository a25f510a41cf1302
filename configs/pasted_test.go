package configs

import (
	"strings"
	"testing"
)

// Who pastes a private key into the file, or names a key in place of the file, has a mistake shown and not the key: messages
// end up in logs.
func TestAPastedKeyIsNotShown(t *testing.T) {
	const (
		one = "MHcCAQEEIOPm4LwWn3ASEM+o7vfa5I6C0m+z5+9I8Vq2qAMT6NpWoAoGCCqGSM49"
		two = "AwEHoUQDQgAE8YERWhi4PAS3f8gfzXQ771jblLx+mizI/N0QjlHF1ij2aVz/LiKr"
		key = "-----BEGIN EC PRIVATE KEY-----\n" + one + "\n" + two + "\n-----END EC PRIVATE KEY-----\n"
	)
	const head = "listeners: [{name: l, bind: [\":1\"]}]\npools: [{name: p, backends: [\"192.0.2.1:1\"]}]\n" +
		"routes:\n  - name: r\n    hosts: [a.example]\n    pool: p\n    terminate:\n      certificates:\n        - cert: a.crt\n"
	lines := func(indent, s string) string {
		return indent + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n"+indent) + "\n"
	}
	const deep = "            "
	for _, c := range []struct{ name, text, want string }{
		{"the key itself is named as the file", key, `not the text "-----BEGIN "…`},
		{"a block", head + "          key: |\n" + lines(deep, key), "switchyard.yaml:10:16: key: this is what a file holds, and not its path"},
		{"folded", head + "          key: >-\n" + lines(deep, key), "this is what a file holds"},
		{"plain text on the lines below", head + "          key:\n" + lines(deep, key), "this is what a file holds"},
		{"in quotes", head + `          key: "` + strings.ReplaceAll(key, "\n", `\n`) + "\"\n", "this is what a file holds"},
		{"without its first line", head + "          key:\n" + lines(deep, key[strings.Index(key, one):]), "this is what a file holds"},
		{"under another key", head + "          private_key: |\n" + lines(deep, key), `unknown key "private_key"`},
		{"where a list is meant", head + "      alpn: |\n" + lines(deep, key), "must be a list"},
		{"not indented", head + "          key: |\n" + key, "not YAML"},
		{"half indented", head + "          key:\n" + lines(deep, key[:len(key)/2]) + key[len(key)/2:], "not YAML"},
		{"in a list", head + "          key: [\n" + lines(deep, key) + "]\n", ""},
		{"as a mapping", head + "          key:\n" + lines(deep, strings.ReplaceAll(key, "\n", ":\n")), ""},
	} {
		_, err := Parse("switchyard.yaml", []byte(c.text), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", c.name, err, c.want)
			continue
		}
		for _, line := range []string{one, two} {
			for i := range len(line) - 10 {
				if strings.Contains(err.Error(), line[i:i+10]) {
					t.Errorf("%s: %v\nquotes %q of the key", c.name, err, line[i:i+10])
					break
				}
			}
		}
	}
}

// The same holds for keys that are no PEM, where a file of them is to be named: base64 that is no file.
func TestAPastedKeyInBase64IsNotShown(t *testing.T) {
	const text = "listeners: [{name: l, bind: [\":1\"]}]\npools: [{name: p, backends: [\"192.0.2.1:1\"]}]\n" +
		"routes:\n  - name: r\n    hosts: [a.example]\n    pool: p\n    terminate:\n"
	const eab = text + "      acme: {agree: true, storage: st, directory_url: \"https://acme.example/d\", eab: {kid: k, hmac_key_file: \"%\"}, wrong: 1}\n"
	const tickets = text + "      acme: {agree: true, storage: st}\n      tickets: {keys: [\"%\"]}\n"
	const said = "there is no such file, and what is named looks like a key"
	for _, c := range []struct {
		name, text, key string
		shown           bool
	}{
		{"base64url", eab, "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W", false},
		{"base64", eab, "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=", false},
		{"keys of tickets", tickets, "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ/83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ", false},
		{"a path that could be one", eab, "/etc/Switchyard/keys/of-2026/eab", false},
		{"a path", eab, "/etc/switchyard/keys/of-2026/eab", true},
		{"a file of its kind", eab, "Certs2/of-an-authority.key", true},
	} {
		_, err := Parse("switchyard.yaml", []byte(strings.ReplaceAll(c.text, "%", c.key)), t.TempDir())
		if err == nil {
			t.Errorf("%s: no mistake", c.name)
			continue
		}
		if shown := strings.Contains(err.Error(), c.key); shown != c.shown || strings.Contains(err.Error(), said) == c.shown {
			t.Errorf("%s: shown %v, want %v: %v", c.name, shown, c.shown, err)
		}
	}
}
