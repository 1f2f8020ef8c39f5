package tcp_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func echo(c *net.TCPConn) { io.Copy(c, c) }

// reset closes with RST.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// say writes all of text.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// hear reads as many bytes as want has, and compares.
func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got[:n], err, want)
	}
}

// hearFIN reads the end of the stream, and nothing before it.
func hearFIN(t *testing.T, c net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Fatalf("read %d bytes, %v; want FIN", len(rest), err)
	}
}

// hearRST reads RST, and nothing before it.
func hearRST(t *testing.T, c net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(c); !errors.Is(err, unix.ECONNRESET) || len(rest) > 0 {
		t.Fatalf("read %d bytes, %v; want %v", len(rest), err, unix.ECONNRESET)
	}
}

// hearSomeThenRST reads whatever comes before RST.
func hearSomeThenRST(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := io.Copy(io.Discard, c); !errors.Is(err, unix.ECONNRESET) {
		t.Fatalf("read %d bytes, %v; want %v", n, err, unix.ECONNRESET)
	}
}

// control runs what needs c's fd.
func control(t *testing.T, c *net.TCPConn, do func(fd int)) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { do(int(fd)) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// unread is the number of bytes in c's receive queue.
func unread(t *testing.T, c *net.TCPConn) (n int) {
	t.Helper()
	control(t, c, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) })
	return n
}

// fill writes until nobody has taken more for a while.
func fill(t *testing.T, c *net.TCPConn) {
	t.Helper()
	block := make([]byte, 64<<10)
	for {
		c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		_, err := c.Write(block)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			t.Fatal(err)
		}
	}
}
