package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAdminSocket(t *testing.T) {
	const (
		route = "[route.a]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.1\"]\naction = \"drop\"\n"
		named = "[admin]\nsocket = \"/tmp/a.sock\"\n"
	)
	path := filepath.Join(t.TempDir(), "anyport.toml")
	for _, test := range []struct {
		name, text, want string
		told             bool
		broken           string // "": it is not
	}{
		{"not said", route, DefaultAdminSocket, true, ""},
		{"said", named + route, "/tmp/a.sock", true, ""},
		{"none", "[admin]\nsocket = \"\"\n" + route, "", true, ""},
		{"faults elsewhere", named + "[listen]\nworkers = \"many\"\n[route.x]\nprefixes = 1", "/tmp/a.sock", true, "errors, the first: "},
		{"faults, and not said", "[listen]\nworkers = \"many\"\n" + route, DefaultAdminSocket, true, "listen.workers: "},
		{"no route", named, "/tmp/a.sock", true, "route: is missing"},
		{"a number", "[admin]\nsocket = 7\n" + route, DefaultAdminSocket, false, "admin.socket: 7 is not a string"},
		{"no TOML before it", "[listen\n" + named + route, "/tmp/a.sock", true, "not TOML"},
		{"no TOML after it", named + "[route.a]\nports = [1, 2\n[route.b]\n", "/tmp/a.sock", true, "not TOML"},
		{"no TOML beside it", "[ admin ] # here\nhttp = \nsocket = '/tmp/b.sock' # there\n", "/tmp/b.sock", true, "not TOML"},
		{"no TOML, dotted", "admin.socket = \"/tmp/c.sock\"\n[route.a\n", "/tmp/c.sock", true, "not TOML"},
		{"no TOML, inline", "admin = { socket = \"/tmp/d.sock\" }\n[route.a\n", "/tmp/d.sock", true, "not TOML"},
		{"no TOML in it", "[admin]\nsocket = \"/tmp/a.sock\n", DefaultAdminSocket, false, "not TOML"},
		{"no TOML, and not said", "[admin]\n[route.a\nsocket = \"/tmp/x.sock\"\n", DefaultAdminSocket, false, "not TOML"},
		{"no TOML, of another table", "[route.a]\nsocket = \"/tmp/x.sock\"\nports = \n", DefaultAdminSocket, false, "not TOML"},
		{"no text", "\x00\xff\x01", DefaultAdminSocket, false, "not TOML"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, told, broken := AdminSocket(path)
			if got != test.want || told != test.told || (broken == nil) != (test.broken == "") {
				t.Errorf("got %q, %t, %v; want %q, %t", got, told, broken, test.want, test.told)
			}
			if broken == nil {
				return
			}
			if summary := Summary(broken); !strings.Contains(summary, test.broken) || strings.Contains(summary, "\n") {
				t.Errorf("broken: %q, want a line with %q", summary, test.broken)
			}
		})
	}
	if got, told, err := AdminSocket(path + ".gone"); got != DefaultAdminSocket || told || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no file: %q, %t, %v", got, told, err)
	}
}
