package config

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRead: a process that serves reads regular files alone, and waits for no other.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("file"), []byte("text"), 0o600),
		os.Symlink(at("file"), at("link")),
		os.Symlink(at("nothing"), at("dangling")),
		unix.Mkfifo(at("fifo"), 0o600),
		os.WriteFile(at("large"), nil, 0o600),
		os.Truncate(at("large"), maxFileSize+1),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	socket, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for path, want := range map[string]string{
		at("file"):     "",
		at("link"):     "",
		at("nothing"):  "no such file",
		at("dangling"): "no such file",
		at("fifo"):     "is a FIFO: put a regular file there",
		at("socket"):   "is a socket: put",
		at("large"):    "is larger than 256 MiB",
		dir:            "is a directory: put",
		"/dev/zero":    "is a device: put",
	} {
		text, err := Read(path)
		if want == "" && (err != nil || string(text) != "text") {
			t.Errorf("%s: %q, %v", path, text, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// TestLoadPipe: a command may be given a pipe, to its end, and stops at a size.
func TestLoadPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the reader
		pipe, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer pipe.Close()
		for piece := range strings.SplitSeq("[route.web]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5\"]\n", "\n") {
			time.Sleep(time.Millisecond)
			pipe.WriteString(piece + "\n")
		}
	}()
	if c, err := Load(path); err != nil || len(c.Routes) != 1 {
		t.Errorf("a pipe: %v, %v", c, err)
	}
	if _, err := Load("/dev/zero"); err == nil || !strings.Contains(err.Error(), "/dev/zero is larger than 256 MiB") {
		t.Errorf("/dev/zero: %v", err)
	}
}
