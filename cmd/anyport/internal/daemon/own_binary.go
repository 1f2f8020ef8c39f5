package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/cmd/anyport/internal/slowfs"
)

// ownBinary is the file that this process was started from, as it is now on disk, for an
// upgrade that root did not ask for. It is run with this process's capabilities, so it must
// be root's, and nobody else's to change.
func ownBinary() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	if err := privileges.CheckOnly(path, 0); err != nil {
		return "", fmt.Errorf("%w, so a process without privileges could choose what runs: upgrade as root", err)
	}
	return path, nil
}

// choice is the binary of an upgrade.
type choice struct {
	path string // "": the own one
	root bool   // root has chosen it
}

// binary returns the path of the binary to start, or says why there can be no upgrade. It may take
// a while.
func (d *daemon) binary(c choice) (string, error) {
	if os.Getpid() == 1 {
		// The kernel kills all processes of a pid namespace when its pid 1 ends.
		return "", errors.New("anyport is pid 1 of its container, which ends with it: start another container in its place")
	}
	return slowfs.Do(d.slow, "read the new binary", c.find)
}

// find returns the path. It reads the whole binary, for where that hangs, so would the start of the
// new process: in a state of this process (vfork) that the garbage collector waits for, and all loops
// wait for the garbage collector.
func (c choice) find() (path string, err error) {
	switch {
	case !c.root:
		path, err = ownBinary()
	case c.path != "":
		path = c.path
	default:
		path, err = os.Executable()
	}
	if err != nil {
		return "", err
	}
	return path, readThrough(path)
}

// readThrough has the kernel cache a file, which must be a regular one.
func readThrough(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file: name a binary", path)
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) { // to start it takes another permission
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(io.Discard, file)
	return err
}

// upgradeBySignal upgrades to the own binary, and returns when that has begun; the log has the outcome.
// Where root alone can send signals, it is as root's order.
func (d *daemon) upgradeBySignal() {
	binary, err := d.binary(choice{root: os.Geteuid() == 0})
	if err == nil {
		err = d.decide(context.Background(), func() error { return d.beginUpgrade(binary, nil, func(admin.Upgraded, error) {}) })
	}
	if err != nil {
		d.log.Error("upgrade refused: this process serves on", "problem", err)
	}
}
