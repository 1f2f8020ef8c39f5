package haproxy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/haproxy"
	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/cmd/anyport/internal/proxyconf/proxyconftest"
)

func TestGolden(t *testing.T) {
	t.Chdir("testdata") // the report then has names without a folder
	proxyconftest.Golden(t, "*.cfg", haproxy.Read)
}

// TestHAProxyAccepts: the configurations of these tests are valid ones.
func TestHAProxyAccepts(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("haproxy is not installed")
	}
	t.Chdir("testdata")
	files, _ := filepath.Glob("*.cfg")
	for _, path := range files {
		if out, err := exec.Command("haproxy", "-c", "-f", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}

// TestNothingIsLost: each line of a section that is read stands in the report with an outcome. A
// section that is not read stands there with the number of its lines.
func TestNothingIsLost(t *testing.T) {
	t.Chdir("testdata")
	files, _ := filepath.Glob("*.cfg")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		reading, err := haproxy.Read(path, string(text), proxyconftest.Options(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		reported := map[int]*proxyconf.Line{}
		for _, l := range reading.Lines {
			reported[l.Number] = l
			if l.Outcome() == "" {
				t.Errorf("%s: %s has no outcome", l.Place(), l.Text)
			}
		}
		unread := false
		for i, line := range strings.Split(string(text), "\n") {
			trimmed := strings.TrimSpace(line)
			if trimmed == "" || trimmed[0] == '#' {
				continue
			}
			l := reported[i+1]
			if trimmed == line { // a header: others are indented
				unread = l != nil && strings.Contains(l.Outcome(), "lines are not read")
			}
			if l == nil && !unread {
				t.Errorf("%s:%d: %s is not in the report", path, i+1, trimmed)
			}
		}
	}
}
