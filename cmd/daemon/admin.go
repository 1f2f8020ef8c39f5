package daemon

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

	"anyport/cmd/privileges"
)

// adminTimeout bounds how long the peer of the admin socket may take to ask.
const adminTimeout = 5 * time.Second

// listenAdmin listens on a unix socket that only its owner may open, who is this user
// or the one to be. It takes the place of a socket whose process is gone.
func listenAdmin(path string, owner *privileges.Account) (net.Listener, error) {
	listener, err := listenPrivate(path, owner)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("admin.socket: %w: run as root, or name a path that this user may write", err)
	case err != nil:
		return nil, fmt.Errorf("admin.socket: %w", err)
	}
	return listener, nil
}

func listenPrivate(path string, owner *privileges.Account) (net.Listener, error) {
	if err := makeDir(filepath.Dir(path), owner); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	listen := net.ListenConfig{Control: private}
	listener, err := listen.Listen(context.Background(), "unix", path)
	if err != nil || owner == nil {
		return listener, err
	}
	if err := os.Lchown(path, owner.UID, owner.GID); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// makeDir makes the directory of the socket unless it is there. To remove the socket in
// the end, its owner must own the directory, too.
func makeDir(path string, owner *privileges.Account) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	err := os.Mkdir(path, 0o755)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil || owner == nil:
		return err
	}
	return os.Chown(path, owner.UID, owner.GID)
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
	conn, err := net.DialTimeout("unix", path, adminTimeout)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("another process serves on %s: stop it, or name another path", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	}
	return err
}
