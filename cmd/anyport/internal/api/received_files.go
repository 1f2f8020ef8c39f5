package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/handover"
)

// Root may send file descriptors beside the first byte of a request (unix(7), SCM_RIGHTS). The
// request names them, each as fd=NAME, in their order.

// fileListener is the listener of conns that receive file descriptors.
type fileListener struct {
	net.Listener
	group int // of readers, or NoGroup
}

// Accept returns the next conn. Its peer is read at once: the verdicts depend on it.
func (l fileListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &fileConn{UnixConn: conn.(*net.UnixConn), peer: readPeer(conn.(*net.UnixConn), l.group)}
	if c.peer.may(rootOnly) {
		c.control = make([]byte, unix.CmsgSpace(4*mostFiles))
	}
	return c, nil
}

// mostFiles bounds the file descriptors that one conn may send.
const mostFiles = 64

// fileConn is a conn of the admin socket. It owns the file descriptors that it has received until
// take returns them; those that no request takes are closed with it.
type fileConn struct {
	*net.UnixConn
	peer    peer
	control []byte // for control messages; nil: the kernel closes what is sent, as for all users but root

	mu  sync.Mutex // Read and Close may run at the same time
	fds []int      // received and not taken
}

// Read is net/http's. File descriptors that come with the bytes are kept.
func (c *fileConn) Read(b []byte) (int, error) {
	n, size, _, _, err := c.ReadMsgUnix(b, c.control)
	if err != nil || size == 0 {
		return max(n, 0), err // on error n is -1, at which package bufio would panic
	}
	fds, err := handover.ParseFDs(c.control[:size])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fds = append(c.fds, fds...)
	if len(c.fds) > mostFiles {
		return 0, fmt.Errorf("more than %d file descriptors came", mostFiles)
	}
	return n, err
}

// Close closes the conn and what nobody has taken.
func (c *fileConn) Close() error {
	for _, fd := range c.take() {
		unix.Close(fd)
	}
	return c.UnixConn.Close()
}

// take returns what was received so far; it is the caller's.
func (c *fileConn) take() (fds []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fds, c.fds = c.fds, nil
	return fds
}

// connKey is the key of a request's conn in its context.
type connKey struct{}

// keepConn is for http.Server.ConnContext: a handler finds the peer and the files there.
func keepConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// receivedFiles are file descriptors by name. Whoever has them closes them.
type receivedFiles map[string]int

// close closes them all.
func (f receivedFiles) close() {
	for _, fd := range f {
		unix.Close(fd)
	}
}

// takeFiles returns the file descriptors that came with a request, which has to name each of them
// once. The caller closes them.
func takeFiles(r *http.Request) (receivedFiles, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	files, names := receivedFiles{}, r.Form["fd"]
	conn, ok := r.Context().Value(connKey{}).(*fileConn)
	if !ok {
		return files, nil
	}
	fds := conn.take()
	for i, fd := range fds {
		if i >= len(names) {
			unix.Close(fd)
		} else if _, twice := files[names[i]]; twice {
			unix.Close(fd)
		} else {
			files[names[i]] = fd
		}
	}
	if len(fds) != len(names) || len(files) != len(fds) {
		files.close()
		return nil, fmt.Errorf("%d file descriptors came and %d were named", len(fds), len(names))
	}
	return files, nil
}
