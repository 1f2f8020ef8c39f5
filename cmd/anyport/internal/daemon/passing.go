package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/handover"
	"anyport/steering"
)

// Who asks on the admin socket may pass file descriptors, beside the first byte of the
// question (unix(7), SCM_RIGHTS). The question has their names, each as fd=NAME.

// passing is the listener of such conns.
type passing struct{ net.Listener }

func (l passing) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &passingConn{UnixConn: conn.(*net.UnixConn), peer: peerOf(conn.(*net.UnixConn))}
	if c.peer.may(onlyRoot) {
		c.control = make([]byte, unix.CmsgSpace(4*mostPassed))
	}
	return c, nil
}

// mostPassed bounds what comes by one conn.
const mostPassed = 64

type passingConn struct {
	*net.UnixConn
	peer    peer
	control []byte // nil: the kernel closes what comes, as from all but root

	mu  sync.Mutex
	fds []int // that nobody has taken
}

func (c *passingConn) Read(b []byte) (int, error) {
	n, size, _, _, err := c.ReadMsgUnix(b, c.control)
	if err != nil || size == 0 {
		return max(n, 0), err // of an error it is -1, of which package bufio makes a panic
	}
	fds, err := handover.ParseFDs(c.control[:size])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fds = append(c.fds, fds...)
	if len(c.fds) > mostPassed {
		return 0, fmt.Errorf("more than %d file descriptors came", mostPassed)
	}
	return n, err
}

func (c *passingConn) Close() error {
	for _, fd := range c.take() {
		unix.Close(fd)
	}
	return c.UnixConn.Close()
}

func (c *passingConn) take() (fds []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fds, c.fds = c.fds, nil
	return fds
}

// connKey is under which the context of a request has its conn.
type connKey struct{}

func keepConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// passed takes what came with a request. The caller closes it.
func passed(r *http.Request) (steering.Inheritance, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	in, names := steering.Inheritance{}, r.Form["fd"]
	conn, ok := r.Context().Value(connKey{}).(*passingConn)
	if !ok {
		return in, nil
	}
	fds := conn.take()
	for i, fd := range fds {
		if i < len(names) && !in.Has(names[i]) {
			in[names[i]] = fd
		} else {
			unix.Close(fd)
		}
	}
	if len(fds) != len(names) || len(in) != len(fds) {
		return nil, errors.Join(fmt.Errorf("%d file descriptors came and %d were named", len(fds), len(names)), in.Close())
	}
	return in, nil
}
