package datagram

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestTruncated: a batch reports the datagram that its buffer could not hold.
func TestTruncated(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	check(t, err)
	sends, receives := fds[0], fds[1]
	t.Cleanup(func() { unix.Close(sends); unix.Close(receives) })
	in, err := NewReceiveBatch(4)
	check(t, err)
	t.Cleanup(in.Close)
	for _, text := range []string{"1234", "12345", ""} {
		check(t, unix.Send(sends, []byte(text), 0))
	}
	first, end, err := in.Read(receives, BatchSize)
	if first != 0 || end != 3 || err != nil {
		t.Fatalf("read %d to %d, %v", first, end, err)
	}
	if in.Truncated(0) || !in.Truncated(1) || in.Truncated(2) {
		t.Errorf("truncated: %v %v %v, want only the second", in.Truncated(0), in.Truncated(1), in.Truncated(2))
	}
}
