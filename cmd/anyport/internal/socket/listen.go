package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/privileges"
)

// dialTimeout bounds how long a process that serves at the path may take to accept.
const dialTimeout = 5 * time.Second

// Listen makes the socket at path, which only its owner may open, and the members of a group if there is one: owner is
// the account that this process is going to be, or nil for this process's user; group is a number, or NoGroup. It replaces a socket that a dead process has
// left, and refuses to replace anything else.
func Listen(path string, owner *privileges.Account, group int) (*Socket, error) {
	listener, err := listen(path, owner, group)
	if err != nil {
		return nil, err
	}
	return newSocket(listener, path, group), nil
}

// listen makes a listener whose Close leaves the file, with errors for the operator.
func listen(path string, owner *privileges.Account, group int) (*net.UnixListener, error) {
	listener, err := listenPrivate(path, owner)
	if err == nil && group != NoGroup {
		if err = giveToGroup(path, owner, group); err != nil {
			err = errors.Join(fmt.Errorf("give it to admin.group: %w", err), listener.Close(), os.Remove(path))
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("admin.socket: %w: run as root, or name a path that this user may write", err)
	case err != nil:
		return nil, fmt.Errorf("admin.socket: %w", err)
	}
	return listener, nil
}

// listenPrivate makes the directory if need be, removes a dead socket, and listens as the owner. After an
// error nothing is left behind.
func listenPrivate(path string, owner *privileges.Account) (listener *net.UnixListener, err error) {
	if err := makeDir(filepath.Dir(path), owner); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	listen := func() error {
		config := net.ListenConfig{Control: private}
		l, err := config.Listen(context.Background(), "unix", path)
		if err == nil {
			listener = l.(*net.UnixListener)
			listener.SetUnlinkOnClose(false) // Socket.Close does that, if the file is still its own
		}
		return err
	}
	if owner == nil {
		return listener, listen()
	}
	if err := listenAs(owner, path, listen); err != nil {
		if listener != nil {
			err = errors.Join(err, listener.Close(), os.Remove(path))
		}
		return nil, err
	}
	return listener, nil
}

// private runs between socket and bind: bind(2) gives the file the mode of the
// socket's own inode, so that it is never open to others, not even for a moment.
func private(_, _ string, c syscall.RawConn) error {
	var err error
	if controlErr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); controlErr != nil {
		return controlErr
	}
	return err
}

// removeStale removes the socket that a dead process has left at path.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is not a socket: remove it, or name another path", path)
	}
	conn, err := net.DialTimeout("unix", path, dialTimeout)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("another process serves on %s: stop it, or name another path", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		if err := os.Remove(path); err != nil {
			return staleError{path, info, "no process serves on it"}
		}
		return nil
	case errors.Is(err, fs.ErrPermission):
		return staleError{path, info, "if no process serves on it"}
	}
	return err
}

// staleError is a socket that this user may not remove, or not even ask.
type staleError struct {
	path string
	info fs.FileInfo
	when string
}

func (e staleError) Error() string {
	owner := "another user"
	if stat, ok := e.info.Sys().(*syscall.Stat_t); ok {
		owner = fmt.Sprintf("user %d", stat.Uid)
	}
	return fmt.Sprintf("%s is a socket of %s, left by an earlier anyport: %s, remove it: sudo rm %s; or name another path", e.path, owner, e.when, e.path)
}
