package accesslog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
)

// TestTry: what Open refuses is refused, and nothing is made, opened or written.
func TestTry(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("there"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path("gone/file"), path("dangling")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for access, refused := range map[string]bool{
		"":                              false,
		"stderr":                        false,
		path("new"):                     false,
		path("there"):                   false,
		path("fifo"):                    false, // see Try
		"/dev/null":                     false,
		path("gone/file"):               true,
		path("there/file"):              true,
		path("dangling"):                true,
		dir:                             true,
		"syslog:unix://" + path("none"): true,
		"syslog:udp://127.0.0.1:9":      false,
		"syslog:tcp://127.0.0.1:9":      false, // it connects with the first line
	} {
		c := config.Log{Access: access, Format: "text"}
		if err := Try(c); (err != nil) != refused || err != nil && !strings.HasPrefix(err.Error(), "log.access: ") {
			t.Errorf("%s: %v", access, err)
		}
		if access == path("fifo") || access == "stderr" {
			continue
		}
		a, err := Open(c, nil, nil, nil)
		if (err != nil) != refused {
			t.Errorf("%s: opened: %v", access, err)
		}
		if a != nil {
			closeLog(t, a)
		}
	}
	if err := os.Remove(path("new")); err != nil {
		t.Fatal(err)
	}
	if err := Try(config.Log{Access: path("new")}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path("new")); err == nil {
		t.Error("a file was made")
	}
	if text := read(t, path("there")); text != "kept" {
		t.Errorf("the file has %q", text)
	}
}
