package daemon

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/steering/table"
)

// TestFileAnswer explains a dst by what is in service, with another file on disk.
func TestFileAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anyport.toml")
	serving, err := config.Parse(path, []byte(routes))
	if err != nil {
		t.Fatal(err)
	}
	table, err := table.Compile(serving)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{slow: slowfs.New(time.Minute)}
	q := admin.Question{Protocol: config.TCP, Dst: netip.MustParseAddrPort("192.0.2.7:80")}
	answer := table.Explain(q.Protocol, q.Dst, q.Client)
	for _, test := range []struct{ name, text, want string }{
		{"the same", "# a comment\n" + routes, "it is what is in service"},
		{"another prefix more", strings.ReplaceAll(routes, `"192.0.2.0/24"`, `"192.0.2.0/24", "203.0.113.0/24"`), "it has changed since, but not for this dst"},
		{"another origin", strings.ReplaceAll(routes, "10.0.0.5", "10.0.0.6"), "it has changed since; after a reload: verdict steer, route web, origin 10.0.0.6:80"},
		{"another port", routes + "ports = 81\n", "it has changed since; after a reload: verdict refuse, route -, origin -"},
		{"faults", "[route.web]\n", "it cannot be loaded any more: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := d.fileAnswer(serving, answer, q); !strings.HasPrefix(got, test.want) || strings.Contains(got, "\n") {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
