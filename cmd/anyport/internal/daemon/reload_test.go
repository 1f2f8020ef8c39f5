package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
)

const routes = `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
`

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("anyport.toml", []byte(text+routes))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFixedKeys(t *testing.T) {
	for _, test := range []struct {
		name, old, next string
		want            []string
	}{
		{"nothing changed", "", "", nil},
		{"what may change", "", "[log]\nlevel = \"debug\"\n[steering]\nunmatched = \"drop\"\nmanage_routes = false\nshadow_listeners = true\n[defaults]\nidle_timeout = \"1m\"\n", nil},
		{"workers", "", "[listen]\nworkers = 2\n", []string{
			"anyport.toml:2:11: listen.workers: 1 cannot become 2 while anyport runs: restart it, or put the old value back",
		}},
		{"manage_routes, for want of the capability", "[steering]\nmanage_routes = false\n", "", []string{
			"anyport.toml: steering.manage_routes: false cannot become true while anyport runs: restart it, or put the old value back",
		}},
		{"several", "", "[listen]\ntcp_backlog = 7\nudp_receive_buffer = \"1MiB\"\n[admin]\nsocket = \"\"\n[log]\nformat = \"json\"\naccess = \"stderr\"\n", []string{
			"anyport.toml:2:15: listen.tcp_backlog: 4096 cannot become 7 while anyport runs: restart it, or put the old value back",
			"anyport.toml:3:22: listen.udp_receive_buffer: 4194304 cannot become 1048576 while anyport runs: restart it, or put the old value back",
			"anyport.toml:5:10: admin.socket: \"/run/anyport/admin.sock\" cannot become \"\" while anyport runs: restart it, or put the old value back",
			"anyport.toml:7:10: log.format: \"text\" cannot become \"json\" while anyport runs: restart it, or put the old value back",
			"anyport.toml:8:10: log.access: \"\" cannot become \"stderr\" while anyport runs: restart it, or put the old value back",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, p := range checkFixedKeys(parse(t, test.old), parse(t, test.next)) {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestLoadRefuses shows that a file at fault never becomes a generation.
func TestLoadRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anyport.toml")
	old := &generation{number: 1, config: &config.Config{Path: path}}
	old.config.Listen.Workers = 1
	d := &daemon{slow: slowfs.New(time.Minute)}
	d.serving.Store(old)
	for _, test := range []struct{ name, text, want string }{
		{"no TOML", "[route", "not TOML"},
		{"no route", "[log]\n", "[route.NAME]"},
		{"what cannot change", "[listen]\nworkers = 2\n" + routes, "listen.workers: 1 cannot become 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			g, err := d.load()
			if g != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("load = %v, %v, want an error that says %q", g, err, test.want)
			}
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if g, err := d.load(); g != nil || err == nil {
		t.Errorf("load of no file = %v, %v, want an error", g, err)
	}
}
