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
	path := filepath.Join(t.TempDir(), "anyport.toml")
	for _, test := range []struct{ name, text, want, fault string }{
		{"not said", "", DefaultAdminSocket, ""},
		{"said", "[admin]\nsocket = \"/tmp/a.sock\"", "/tmp/a.sock", ""},
		{"none", "[admin]\nsocket = \"\"", "", ""},
		{"faults elsewhere", "[admin]\nsocket = \"/tmp/a.sock\"\n[listen]\nworkers = \"many\"\n[route.x]\nprefxes = 1", "/tmp/a.sock", ""},
		{"a number", "[admin]\nsocket = 7", "", "admin.socket: 7 is not a string"},
		{"no TOML", "[admin", "", "not TOML"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := AdminSocket(path)
			if got != test.want || (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Errorf("AdminSocket = %q, %v, want %q, %q", got, err, test.want, test.fault)
			}
		})
	}
	if _, err := AdminSocket(path + ".gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no file: %v", err)
	}
}
