package upgrade

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"anyport/cmd/anyport/internal/privileges"
)

// Binary returns the path of the binary to start: the one that root named, or the own one if that is
// "". It reads the whole binary and so may hang where the file does: starting a process from such a
// file would hang in a state (vfork) that the garbage collector waits for, and all event loops would
// wait for the garbage collector. The caller calls it in a goroutine that may hang.
func Binary(named string, byRoot bool) (path string, err error) {
	switch {
	case !byRoot:
		path, err = trustedBinary()
	case named != "":
		path = named
	default:
		path, err = os.Executable()
	}
	if err != nil {
		return "", err
	}
	return path, readThrough(path)
}

// trustedBinary is the file that this process was started from, as it is on disk now, for an upgrade
// that root did not ask for. It is run with this process's capabilities, so it must be root's, and
// nobody else may be able to change it.
func trustedBinary() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	if err := privileges.CheckTrusted(path, 0); err != nil {
		return "", fmt.Errorf("%w, so a process without privileges could choose what runs: upgrade as root", err)
	}
	return path, nil
}

// readThrough makes the kernel cache a file, which must be a regular one.
func readThrough(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file: name a binary", path)
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) { // starting it takes another permission than reading it
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(io.Discard, file)
	return err
}
