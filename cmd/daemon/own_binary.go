package daemon

import (
	"fmt"
	"os"
	"path/filepath"

	"anyport/cmd/privileges"
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

// upgradeBySignal begins an upgrade to the own binary. Where root alone can send signals, it
// is as root's order.
func (d *daemon) upgradeBySignal() (err error) {
	binary := ""
	if os.Geteuid() != 0 {
		if binary, err = ownBinary(); err != nil {
			return err
		}
	}
	return d.beginUpgrade(binary, nil, func(Upgraded, error) {})
}
