package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// adminTimeout bounds how long the peer of the admin socket may take to ask.
const adminTimeout = 5 * time.Second

// handler answers on the admin socket.
func (d *daemon) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(d.status()); err != nil {
			d.log.Debug("the status was not taken", "error", err)
		}
	})
	return mux
}

// listenAdmin listens on a unix socket that only this user may open. It takes the
// place of a socket whose process is gone.
func listenAdmin(path string) (net.Listener, error) {
	listener, err := listenPrivate(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("admin.socket: %w: run as root, or name a path that this user may write", err)
	case err != nil:
		return nil, fmt.Errorf("admin.socket: %w", err)
	}
	return listener, nil
}

func listenPrivate(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	listen := net.ListenConfig{Control: private}
	return listen.Listen(context.Background(), "unix", path)
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
