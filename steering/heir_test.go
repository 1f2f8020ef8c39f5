package steering

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHeir: links are held beyond their descriptors where the routes end with a device, until the heir lets go.
func TestHeir(t *testing.T) {
	for _, test := range []struct {
		name, device string
		held         bool
	}{
		{Link, fdTUN, true}, {FastLinks + "3", fdTUN, true}, {FleetLinks + "3", fdTUN, true}, {fdProgram, fdTUN, false}, {Link, fdPins, false},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var h Heir
		if err := h.Hold(Inheritance{test.name: int(w.Fd()), test.device: -1}); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if held := hasWriter(t, r); held != test.held {
			t.Errorf("%s with %s: held %v", test.name, test.device, held)
		}
		if err := h.Hold(nil); err != nil || hasWriter(t, r) {
			t.Errorf("%s with %s: after the end it is held: %v", test.name, test.device, err)
		}
		r.Close()
	}
}

// hasWriter reports whether the other end of a pipe is open somewhere.
func hasWriter(t *testing.T, r *os.File) bool {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(r.Fd()), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 0); err != nil {
		t.Fatal(err)
	}
	return fds[0].Revents&unix.POLLHUP == 0
}
