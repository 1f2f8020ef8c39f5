package accesslog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"anyport/config"
)

// Try says whether [Open] would fail, and leaves no trace: it creates no file, and does not open a FIFO, whose
// reader would take that for its end. So it does not notice that a FIFO has no reader.
func Try(c config.Log) error {
	switch c.Destination().Kind {
	case config.ToNowhere:
		return nil
	case config.ToFile:
		if err := tryFile(c.Access); err != nil {
			return fmt.Errorf("log.access: %w: %s", err, remedy(c.Access, err))
		}
		return nil
	}
	to, err := openDestination(c, nil, nil)
	if err != nil {
		return err
	}
	return to.close()
}

// tryFile asks whether this process may write to a file, or make one there.
func tryFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return mayUse(filepath.Dir(created(path)), unix.W_OK|unix.X_OK)
	case err != nil:
		return err
	case !info.Mode().IsRegular() && !info.IsDir():
		return mayUse(path, unix.W_OK)
	}
	f, err := os.OpenFile(path, Flags&^os.O_CREATE, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// created is what opening a path would create: what a link there leads to.
func created(path string) string {
	target, err := os.Readlink(path)
	if err != nil {
		return path
	}
	if filepath.IsAbs(target) {
		return target
	}
	return filepath.Join(filepath.Dir(path), target)
}

// mayUse asks for the rights of the effective user.
func mayUse(path string, mode uint32) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return nil
}
