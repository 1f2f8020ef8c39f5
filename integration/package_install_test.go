package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestInstall installs into a directory, as `make install` does: every file is there, names the
// program by its path, and an existing configuration stays.
func TestInstall(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	config := filepath.Join(root, "etc/anyport/anyport.toml")
	for _, edit := range []string{"", "# edited\n"} {
		if edit != "" {
			if err := os.WriteFile(config, []byte(edit), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		mustRun(t, "../deploy/install", program, root, "/opt/anyport")
	}
	var found []string
	for name := range files(t, root) {
		if info, err := os.Stat(root + name); err == nil && info.Mode().IsRegular() && !strings.HasPrefix(name, "/etc/logrotate.d/") {
			found = append(found, strings.TrimPrefix(name, "/opt/anyport"))
		}
	}
	slices.Sort(found)
	want := []string{"/bin/anyport", "/etc/anyport/anyport.toml", "/lib/systemd/system/anyport.service",
		"/lib/sysusers.d/anyport.conf", "/lib/tmpfiles.d/anyport.conf",
		"/share/bash-completion/completions/anyport", "/share/doc/anyport/CHANGELOG.md", "/share/doc/anyport/NOTICE",
		"/share/doc/anyport/reference.toml", "/share/fish/vendor_completions.d/anyport.fish",
		"/share/man/man5/anyport.toml.5", "/share/man/man8/anyport.8", "/share/zsh/site-functions/_anyport"}
	if !slices.Equal(found, want) {
		t.Errorf("installed: %v\nwant: %v", found, want)
	}
	unit, err := os.ReadFile(filepath.Join(root, "opt/anyport/lib/systemd/system/anyport.service"))
	if err != nil || !strings.Contains(string(unit), "ExecStart=/opt/anyport/bin/anyport run") || strings.Contains(string(unit), "/usr/local") {
		t.Errorf("the unit (%v):\n%s", err, unit)
	}
	if text, err := os.ReadFile(config); err != nil || string(text) != "# edited\n" {
		t.Errorf("the configuration is %q, %v", text, err)
	}
	if got := anyport(t, "check", "-c", "../deploy/anyport.toml"); got.status != 0 {
		t.Errorf("the configuration that is installed: %s", got.stderr)
	}
}

// TestInstallUser has systemd make the user and the directory of the package.
func TestInstallUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for _, tool := range []string{"systemd-sysusers", "systemd-tmpfiles"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("no " + tool + " here")
		}
	}
	root := t.TempDir()
	for _, dir := range []string{"etc", "run"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range [][]string{{"systemd-sysusers", "--root=" + root, "-"}, {"systemd-tmpfiles", "--root=" + root, "--create", "-"}} {
		cmd := exec.Command(run[0], run[1:]...)
		input, err := os.Open("../deploy/" + strings.TrimPrefix(run[0], "systemd-") + ".d/anyport.conf")
		if err != nil {
			t.Fatal(err)
		}
		defer input.Close()
		cmd.Stdin = input
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", run, err, out)
		}
	}
	if users, err := os.ReadFile(filepath.Join(root, "etc/passwd")); err != nil || !strings.Contains(string(users), "anyport:") {
		t.Errorf("the users: %q, %v", users, err)
	}
	info, err := os.Stat(filepath.Join(root, "run/anyport"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("/run/anyport: %v, %v", info, err)
	}
}
