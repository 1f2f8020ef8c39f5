package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

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
