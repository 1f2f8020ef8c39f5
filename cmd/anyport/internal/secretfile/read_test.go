package secretfile

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRead: what is no regular file is refused without waiting, a secret that others may open too, and what is too
// large. The errors name the file.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("secret"), []byte("text"), 0o600),
		os.WriteFile(at("open"), []byte("text"), 0o644),
		os.WriteFile(at("large"), bytes.Repeat([]byte("x"), Most+1), 0o600),
		os.WriteFile(at("huge"), bytes.Repeat([]byte("x"), mostPublic+1), 0o600),
		unix.Mkfifo(at("fifo"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ path, secret, public string }{ // "": it is read
		{at("secret"), "", ""},
		{at("open"), "its mode is 0644, so others may open it: chmod 600 " + at("open"), ""},
		{at("large"), "it is larger than 65536 bytes", ""},
		{at("huge"), "it is larger than 65536 bytes", "it is larger than 4194304 bytes"},
		{at("fifo"), "is a FIFO: put a regular file there", "is a FIFO: put a regular file there"},
		{at("none"), "no such file", "no such file"},
		{"/dev/zero", "is a device: put a regular file there", "is a device: put a regular file there"},
		{dir, "is a directory: put a regular file there", "is a directory: put a regular file there"},
	} {
		for name, of := range map[string]struct {
			read func(path, what string) ([]byte, error)
			want string
		}{"Read": {Read, c.secret}, "ReadPublic": {ReadPublic, c.public}} {
			err := inTime(t, func() error { _, err := of.read(c.path, "the key"); return err })
			if of.want == "" && err != nil {
				t.Errorf("%s of %s: %v", name, c.path, err)
			}
			if of.want != "" && (err == nil || !strings.Contains(err.Error(), of.want) || !strings.Contains(err.Error(), c.path)) {
				t.Errorf("%s of %s: %v, want %q", name, c.path, err, of.want)
			}
		}
	}
}

// inTime is the error of do, which must not hang.
func inTime(t *testing.T, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }() // ends with do
	select {
	case err := <-done:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("it hangs")
		return nil
	}
}
