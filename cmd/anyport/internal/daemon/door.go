package daemon

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"anyport/cmd/anyport/internal/slowfs"
)

const (
	doorInterval = 2 * time.Second // how often the admin socket is looked for
	doorLimit    = 2 * time.Second // how long its file system may take
)

// door is the listener of the admin socket. Where somebody has removed the socket, another one takes its
// place.
type door struct {
	path string
	slow *slowfs.Worker

	mu       sync.Mutex
	listener *net.UnixListener
	file     os.FileInfo // of the socket; nil where somebody has removed it
	leave    bool        // Close does not remove it: it is another process's
	closed   bool
}

// newDoor takes over a listener whose Close does not remove the socket, as this one's does.
func newDoor(listener net.Listener, path string) *door {
	d := &door{path: path, slow: slowfs.New(doorLimit), listener: listener.(*net.UnixListener)}
	d.file, _ = d.look() // an error shows again in missing
	return d
}

// look looks at what is at the path.
func (d *door) look() (os.FileInfo, error) {
	return slowfs.Do(d.slow, "look for admin.socket", func() (os.FileInfo, error) { return os.Lstat(d.path) })
}

// missing reports whether the path does not lead to the socket any more.
func (d *door) missing() bool {
	now, err := d.look()
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.file == nil || !os.SameFile(d.file, now)
}

// replace goes on with another listener of the same path, or, after Close, with none.
func (d *door) replace(listener net.Listener) error {
	file, err := d.look()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errors.Join(listener.Close(), os.Remove(d.path))
	}
	old := d.listener
	d.listener, d.file = listener.(*net.UnixListener), file
	return errors.Join(err, old.Close())
}

// isOpen is false after Close.
func (d *door) isOpen() bool {
	_, closed := d.current()
	return !closed
}

func (d *door) current() (listener *net.UnixListener, closed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.listener, d.closed
}

// Accept returns the next conn.
func (d *door) Accept() (net.Conn, error) {
	for {
		listener, _ := d.current()
		conn, err := listener.Accept()
		if now, closed := d.current(); err == nil || now == listener || closed {
			return conn, err
		}
	}
}

// Addr is the path of the socket.
func (d *door) Addr() net.Addr { return &net.UnixAddr{Name: d.path, Net: "unix"} }

// leaves says whether Close leaves the socket to another process.
func (d *door) leaves(it bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leave = it
}

// Close ends the listener, and removes the socket, if it is still this one's.
func (d *door) Close() error {
	d.mu.Lock()
	leave, again := d.leave, d.closed
	d.closed = true
	err := d.listener.Close()
	d.mu.Unlock()
	if leave || again || d.missing() {
		return err
	}
	_, removed := slowfs.Do(d.slow, "remove admin.socket", func() (any, error) { return nil, os.Remove(d.path) })
	return errors.Join(err, removed)
}

// mindDoor puts the admin socket back where somebody has removed it. It returns when ctx ends.
func (d *daemon) mindDoor(ctx context.Context) {
	if d.admin == nil {
		return
	}
	ticker := time.NewTicker(doorInterval)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !d.admin.missing() || !d.admin.isOpen() {
			last = ""
			continue
		}
		if err := d.renewDoor(); err != nil && err.Error() != last {
			last = err.Error()
			d.log.Error("nobody reaches the admin socket: somebody has removed or replaced it, and it cannot be put back", "error", err,
				"hint", "remove what is there; where this user may not make the socket, restart anyport; signals work as before")
		}
	}
}

func (d *daemon) renewDoor() error {
	listener, err := slowfs.Do(d.admin.slow, "put admin.socket back", func() (net.Listener, error) {
		listener, err := listenAdmin(d.admin.path, d.account)
		if err != nil {
			return nil, err
		}
		return listener, nil
	})
	if err != nil {
		return err
	}
	d.log.Warn("somebody has removed the admin socket: it is there again", "socket", d.admin.path)
	return d.admin.replace(listener)
}
