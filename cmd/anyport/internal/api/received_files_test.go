package api

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestReceivedFiles: file descriptors arrive with the request that names them, and stay with
// nobody where they are not named, named otherwise, or not taken.
func TestReceivedFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root alone may pass file descriptors")
	}
	socket, got := serveAsked(t)
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
		postWithFiles(t, socket, c.query, c.fds)
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

// postWithFiles sends a request with file descriptors beside its first byte, and waits for the answer.
func postWithFiles(t *testing.T, socket, target string, fds []int) {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text := "POST " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	if _, _, err := conn.WriteMsgUnix([]byte(text), unix.UnixRights(fds...), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatal(err)
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
		in, err := takeFiles(r)
		if err != nil {
			got <- err.Error()
			return
		}
		got <- contents(in)
		in.close()
	})
	t.Cleanup(serve(usualTimeouts, fileListener{listener, NoGroup}, mux, nil, make(chan error, 1)))
	return socket, got
}

// contents reads all of in.
func contents(in receivedFiles) string {
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
