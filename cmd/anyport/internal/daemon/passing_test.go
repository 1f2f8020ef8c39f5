package daemon

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/steering"
)

// TestPassing: file descriptors arrive with the request that names them, and stay with
// nobody where they are not named, named otherwise, or not taken.
func TestPassing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root alone may pass file descriptors")
	}
	socket, got := serveAsked(t)
	client := Client{Socket: socket}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	before := openFiles(t)
	for _, c := range []struct {
		name, query string
		fds         []int
		want        string // the names, or the error
	}{
		{"none", "/take", nil, ""},
		{"two", "/take?fd=a&fd=b", []int{fd, fd}, "a=text b=text"},
		{"fewer than are named", "/take?fd=a&fd=b", []int{fd}, "1 file descriptors came and 2 were named"},
		{"more than are named", "/take?fd=a", []int{fd, fd}, "2 file descriptors came and 1 were named"},
		{"one name twice", "/take?fd=a&fd=a", []int{fd, fd}, "2 file descriptors came and 2 were named"},
		{"nobody takes them", "/leave", []int{fd, fd}, "left"},
	} {
		path, text, _ := strings.Cut(c.query, "?")
		query, err := url.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		body, err := client.open(t.Context(), http.MethodPost, path, query, c.fds...)
		if err != nil {
			t.Fatal(err)
		}
		body.Close()
		if answer := <-got; answer != c.want {
			t.Errorf("%s: %q, want %q", c.name, answer, c.want)
		}
		for range 1000 { // the server's end of the conn closes a little later
			if openFiles(t) == before {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if now := openFiles(t); now != before {
			t.Errorf("%s: %d files were open, now %d", c.name, before, now)
		}
	}
}

// serveAsked takes, or leaves, what requests bring, and tells what that was.
func serveAsked(t *testing.T) (socket string, got chan string) {
	t.Helper()
	socket, got = filepath.Join(t.TempDir(), "socket"), make(chan string, 1)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/leave", func(http.ResponseWriter, *http.Request) { got <- "left" })
	mux.HandleFunc("/take", func(_ http.ResponseWriter, r *http.Request) {
		in, err := passed(r)
		if err != nil {
			got <- err.Error()
			return
		}
		got <- contents(in)
		in.Close()
	})
	t.Cleanup(serveHTTP(passing{listener}, mux, nil, make(chan error, 1)))
	return socket, got
}

// contents reads all of in.
func contents(in steering.Inheritance) string {
	var all []string
	for _, name := range []string{"a", "b"} {
		if fd, ok := in[name]; ok {
			text := make([]byte, 10)
			n, _ := unix.Pread(fd, text, 0)
			all = append(all, name+"="+string(text[:n]))
		}
	}
	return strings.Join(all, " ")
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
