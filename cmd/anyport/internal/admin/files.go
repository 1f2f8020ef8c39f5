package admin

import (
	"net"

	"golang.org/x/sys/unix"
)

// fileConn sends copies of file descriptors beside the first byte that is written to it (unix(7),
// SCM_RIGHTS). The request names them, each as fd=NAME, in their order.
type fileConn struct {
	*net.UnixConn
	fds []int // not sent yet; they stay the caller's
}

// Write sends b, and the file descriptors with the first of it.
func (c *fileConn) Write(b []byte) (n int, err error) {
	if fds := c.fds; len(fds) > 0 {
		c.fds = nil
		n, _, err = c.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
	}
	if err != nil || n == len(b) {
		return n, err
	}
	rest, err := c.UnixConn.Write(b[n:])
	return n + rest, err
}
