package inflight

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// isOpen reports whether somebody holds the writing end of a pipe.
func isOpen(t *testing.T, r *os.File) bool {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(r.Fd()), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 0); err != nil {
		t.Fatal(err)
	}
	return fds[0].Revents&unix.POLLHUP == 0
}

// TestHold: a file lives on without a descriptor until the next call, or Close. More of them than one
// message can have are held, too.
func TestHold(t *testing.T) {
	var held Files
	for _, count := range []int{1, 3, 2*most + 1} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var fds []int
		for range count {
			fds = append(fds, int(w.Fd()))
		}
		if err := held.Hold(fds...); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if !isOpen(t, r) {
			t.Errorf("%d: it is not held", count)
		}
		if err := held.Hold(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%d: it is still held: %v", count, err)
		}
		r.Close()
	}
	if err := held.Hold(-1); err == nil || held.socket != 0 {
		t.Errorf("a descriptor that is not open: %v, %+v", err, held)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
}
