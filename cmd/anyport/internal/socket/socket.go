package socket

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"anyport/cmd/anyport/internal/privileges"
	"anyport/cmd/anyport/internal/slowfs"
)

const (
	checkInterval = 2 * time.Second // between two checks that the file is still there
	fileTimeout   = 2 * time.Second // for one access to the file system
)

// Socket is a listener and its file. If somebody removes the file, [Socket.KeepFile] listens again
// and the next Accept is of the new listener: the server on top notices nothing.
type Socket struct {
	path  string
	group int // or NoGroup
	slow  *slowfs.Worker

	mu       sync.Mutex // guards what follows; never held during an access to the file system
	listener *net.UnixListener
	file     os.FileInfo // of the listener's file; nil if it could not be read
	restored int         // how often the file was made again
	leave    bool        // Close leaves the file: another process listens on the same socket
	closed   bool
}

// Inherit takes over the listener of the process before, which still serves. Close leaves the file
// to that process until [Socket.LeaveFile] says otherwise.
func Inherit(listener *net.UnixListener, path string, group int) *Socket {
	s := newSocket(listener, path, group)
	s.LeaveFile(true)
	return s
}

// newSocket takes over a listener whose Close does not remove the file.
func newSocket(listener *net.UnixListener, path string, group int) *Socket {
	s := &Socket{path: path, group: group, slow: slowfs.New(fileTimeout), listener: listener}
	s.file, _ = s.stat() // an error shows again in missing
	return s
}

// Accept returns the next conn.
func (s *Socket) Accept() (net.Conn, error) {
	for {
		listener, _ := s.current()
		conn, err := listener.Accept()
		if now, closed := s.current(); err == nil || now == listener || closed {
			return conn, err
		}
	}
}

// Addr is the path of the socket.
func (s *Socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

// SyscallConn gives access to the listener's file descriptor, for a copy of it.
func (s *Socket) SyscallConn() (syscall.RawConn, error) {
	listener, _ := s.current()
	return listener.SyscallConn()
}

// Restored is how often the socket was made again.
func (s *Socket) Restored() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restored
}

// LeaveFile says whether Close leaves the file to another process that listens on the same socket.
func (s *Socket) LeaveFile(leave bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave = leave
}

// Close closes the listener, and removes the file if it is still this listener's and not left to
// another process.
func (s *Socket) Close() error {
	s.mu.Lock()
	leave, again := s.leave, s.closed
	s.closed = true
	err := s.listener.Close()
	s.mu.Unlock()
	if leave || again || s.missing() {
		return err
	}
	_, removed := slowfs.Do(s.slow, "remove admin.socket", func() (any, error) { return nil, os.Remove(s.path) })
	return errors.Join(err, removed)
}

// KeepFile makes the socket again, for the same owner as before, whenever somebody has removed it. It
// returns when ctx ends. A failure is logged once until the error changes.
func (s *Socket) KeepFile(ctx context.Context, owner *privileges.Account, log *slog.Logger) {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, closed := s.current(); closed || !s.missing() {
			last = ""
			continue
		}
		if err := s.restore(owner, log); err != nil && err.Error() != last {
			last = err.Error()
			log.Error("nobody reaches the admin socket: its file was removed or replaced and cannot be restored", "error", err,
				"hint", "remove what is at its path; if this user may not make the socket, restart anyport; signals work as before")
		}
	}
}

// restore listens at the path again.
func (s *Socket) restore(owner *privileges.Account, log *slog.Logger) error {
	listener, err := slowfs.Do(s.slow, "restore admin.socket", func() (*net.UnixListener, error) { return listen(s.path, owner, s.group) })
	if err != nil {
		return err
	}
	log.Warn("the admin socket was removed: restored", "socket", s.path)
	return s.replace(listener)
}

// replace goes on with listener, or closes and removes it if Close came first.
func (s *Socket) replace(listener *net.UnixListener) error {
	file, err := s.stat()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.Join(listener.Close(), os.Remove(s.path))
	}
	old := s.listener
	s.listener, s.file = listener, file
	s.restored++
	return errors.Join(err, old.Close())
}

// missing reports whether the path does not lead to this listener's file any more.
func (s *Socket) missing() bool {
	now, err := s.stat()
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file == nil || !os.SameFile(s.file, now)
}

// stat describes what is at the path now.
func (s *Socket) stat() (os.FileInfo, error) {
	return slowfs.Do(s.slow, "look for admin.socket", func() (os.FileInfo, error) { return os.Lstat(s.path) })
}

// current is the listener to accept from now.
func (s *Socket) current() (listener *net.UnixListener, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener, s.closed
}
