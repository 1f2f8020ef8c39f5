package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSysdumpCommand: the archive is a new file, or goes to stdout; it says what is missing, and does not fail for that.
func TestSysdumpCommand(t *testing.T) {
	dir := t.TempDir()
	file, archive := filepath.Join(dir, "anyport.toml"), filepath.Join(dir, "a.tar.gz")
	if err := os.WriteFile(file, []byte("[admin]\nsocket = \""+dir+"/none.sock\"\npassword = \"hunter2\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := run("sysdump", archive, "-c", file)
	if status != exitDone || stdout != archive+"\n" || !strings.Contains(stderr, "without a running process: no anyport answers on "+dir+"/none.sock") || strings.Contains(stderr, "hunter2") {
		t.Errorf("%d, %q, %q", status, stdout, stderr)
	}
	if status, stdout, stderr = run("sysdump", archive, "-c", file); status != exitFailed || stdout != "" || !strings.Contains(stderr, "file exists") {
		t.Errorf("again: %d, %q, %q", status, stdout, stderr)
	}
	if status, stdout, _ = run("sysdump", "-", "-c", file, "--socket", dir+"/other.sock"); status != exitDone || !strings.HasPrefix(stdout, "\x1f\x8b") {
		t.Errorf("stdout: %d, %.20q", status, stdout)
	}
	for _, args := range [][]string{{"sysdump", "a", "b"}, {"sysdump", ""}, {"sysdump", "--socket", ""}} {
		if status, _, _ := run(args...); status != exitUsage {
			t.Errorf("%q: %d", args, status)
		}
	}
}
