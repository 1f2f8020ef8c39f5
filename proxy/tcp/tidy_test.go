package tcp_test

import (
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var tidied sync.Map

// tidy fails a test that leaves fds or goroutines behind. It looks after all of
// the test's other cleanups have run.
func tidy(t *testing.T) {
	if _, again := tidied.LoadOrStore(t.Name(), true); again {
		return
	}
	net.Dial("tcp", "127.0.0.1:0") // the runtime's own epoll fd
	goroutines, files := runtime.NumGoroutine(), fds(t)
	t.Cleanup(func() {
		tidied.Delete(t.Name())
		await(t, func() bool { return runtime.NumGoroutine() <= goroutines }, "goroutines are left behind")
		await(t, func() bool {
			runtime.GC() // closes the pipes that io.Copy keeps
			return len(fds(t)) <= len(files)
		}, "fds are left behind")
	})
}

// fds lists what the process has open.
func fds(t *testing.T) (open []string) {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range dir {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && !strings.HasPrefix(to, "/proc/") {
			open = append(open, f.Name()+" → "+to)
		}
	}
	return open
}

// await polls what no event tells of.
func await(t *testing.T, done func() bool, otherwise string) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal(otherwise)
}
