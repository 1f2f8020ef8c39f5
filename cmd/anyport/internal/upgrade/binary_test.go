package upgrade

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBinary: root chooses what runs; everybody else gets the own binary, if only root can change it.
func TestBinary(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	named := filepath.Join(dir, "anyport")
	if err := os.WriteFile(named, []byte("#!/bin/true"), 0o755); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, named string
		root        bool
		want        string
		err         string // "": none
	}{
		{"root's choice", named, true, named, ""},
		{"root, the own one", "", true, own, ""},
		{"root's choice is not there", named + "2", true, "", "no such file"},
		{"root's choice is a directory", dir, true, "", "is not a regular file: name a binary"},
		{"root's choice is a FIFO", fifo, true, "", "is not a regular file: name a binary"},
	} {
		got, err := Binary(test.named, test.root)
		if got != test.want && test.err == "" || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %s, %v, want %s, %q", test.name, got, err, test.want, test.err)
		}
	}
	// The test's binary lies where go test has put it: below /tmp, or a cache of the user's.
	if got, err := Binary(named, false); got == named {
		t.Errorf("somebody else than root has chosen %s, %v", got, err)
	} else if err != nil && !strings.Contains(err.Error(), "upgrade as root") {
		t.Errorf("error %v, want what to do", err)
	}
}

// TestReadThrough reads all of a file.
func TestReadThrough(t *testing.T) {
	path := filepath.Join(t.TempDir(), "binary")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := readThrough(path); err != nil {
		t.Error(err)
	}
	if err := readThrough(path + "2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no file: %v", err)
	}
}
