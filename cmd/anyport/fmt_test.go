package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFmt: a file is printed, checked or replaced, and only -w changes one.
func TestFmt(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const tidy = "a = 1 # one\n"
	untidy, good, broken := write("untidy.toml", "a=1 #  one\n"), write("good.toml", tidy), write("broken.toml", "a=\n")
	link := filepath.Join(dir, "link.toml")
	if err := os.Symlink(untidy, link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"fmt " + untidy, exitDone, "a = 1 #  one\n", ""},
		{"fmt " + good, exitDone, tidy, ""},
		{"fmt --check " + good, exitDone, "", ""},
		{"fmt --check " + good + " " + untidy + " " + link, exitFailed, "", "anyport: " + untidy + " is not formatted: anyport fmt -w does that\nanyport: " + link + " is not formatted: anyport fmt -w does that\n"},
		{"fmt " + broken, exitFailed, "", "it is not TOML"},
		{"fmt -w " + broken, exitFailed, "", "it is not TOML"},
		{"fmt " + dir + "/none.toml", exitFailed, "", "no such file"},
		{"fmt " + good + " " + untidy, exitUsage, "", "--check or -w"},
		{"fmt --check -w " + good, exitUsage, "", "give one of them"},
		{"fmt -w -", exitUsage, "", "stdin is none"},
		{"fmt -w " + link + " " + good, exitDone, "", ""},
		{"fmt --check " + untidy + " " + good, exitDone, "", ""},
	} {
		status, stdout, stderr := run(strings.Fields(test.args)...)
		if status != test.status || stdout != test.stdout || !strings.Contains(stderr, test.stderr) || test.stderr == "" && stderr != "" {
			t.Errorf("%s: %d, %q, %q", test.args, status, stdout, stderr)
		}
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if info, err = os.Stat(untidy); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if text, _ := os.ReadFile(broken); string(text) != "a=\n" {
		t.Errorf("the broken file has %q", text)
	}
	if left, _ := filepath.Glob(dir + "/.anyport-fmt-*"); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// TestFmtStdin: "-" is a filter.
func TestFmtStdin(t *testing.T) {
	root := newRoot()
	var out strings.Builder
	root.SetIn(strings.NewReader("[a]\nb=1"))
	root.SetOut(&out)
	root.SetArgs([]string{"fmt", "-"})
	if err := root.Execute(); err != nil || out.String() != "[a]\nb = 1\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
