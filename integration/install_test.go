package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstall: make install puts everything below DESTDIR and PREFIX, where the unit, the shells and the
// readers look for it, and nothing else.
func TestInstall(t *testing.T) {
	t.Parallel()
	needTool(t, "make")
	dir := t.TempDir()
	install := exec.Command("make", "install", "DESTDIR="+dir, "PREFIX=/usr", "BINARY="+program)
	install.Dir = ".."
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for path, words := range map[string]string{
		"lib/systemd/system/anyport.service":           "\nExecStart=/usr/bin/anyport run -c /etc/anyport/anyport.toml\n",
		"share/bash-completion/completions/anyport":    "complete -o default",
		"share/zsh/site-functions/_anyport":            "#compdef anyport",
		"share/fish/vendor_completions.d/anyport.fish": "complete -c anyport",
		"share/man/man8/anyport.8":                     ".TH ANYPORT 8 ",
		"share/man/man5/anyport.toml.5":                ".TH ANYPORT.TOML 5 ",
		"lib/sysusers.d/anyport.conf":                  "\nu anyport ",
		"lib/tmpfiles.d/anyport.conf":                  "\nd /run/anyport ",
		"share/doc/anyport/NOTICE":                     "github.com/cilium/ebpf",
		"share/doc/anyport/LICENSE":                    "Apache License",
		"share/doc/anyport/reference.toml":             "[listen]",
		"share/doc/anyport/README.md":                  "# anyport",
		"share/doc/anyport/docs/README.md":             "# Documentation",
		"share/doc/anyport/docs/reference/metrics.md":  "anyport_origin_up",
		"share/anyport/prometheus/alerts.yml":          "AnyportNoOriginUp",
		"share/anyport/grafana/anyport.json":           `"title": "anyport"`,
	} {
		text, err := os.ReadFile(filepath.Join(dir, "usr", path))
		if err != nil || !strings.Contains(string(text), words) {
			t.Errorf("%s lacks %q: %v", path, words, err)
		}
	}
	if unit, _ := os.ReadFile(filepath.Join(dir, "usr/lib/systemd/system/anyport.service")); strings.Contains(string(unit), "\nExecReload=/usr/local") {
		t.Errorf("the unit has another prefix:\n%s", unit)
	}
	if out, err := exec.Command(filepath.Join(dir, "usr/bin/anyport"), "version").Output(); err != nil || len(out) == 0 {
		t.Errorf("the binary says %q, %v", out, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("beside usr there is %v, %v", entries, err)
	}
}
