package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/privileges"
	"anyport/cmd/anyport/internal/upgrade"
	"anyport/proxy"
)

// openAccess opens the access log, which the user to be can open again after a rotation.
func (d *daemon) openAccess() error {
	c := d.opt.Config.Log
	file, inherited, err := d.accessFile(c.Access)
	if err != nil {
		return err
	}
	if d.access, err = proxy.OpenAccessLog(c, d.lines, file, d.log); d.access != nil {
		d.closers = append(d.closers, d.access.Close)
	}
	if inherited {
		d.access.Reopen() // it may have been rotated since
	}
	return err
}

// accessFile returns the file that the process before writes, or one that the user to be
// may write; nil where neither is of interest.
func (d *daemon) accessFile(path string) (file *os.File, inherited bool, err error) {
	if path == "" || path == "stderr" {
		return nil, false, nil
	}
	if d.before != nil && d.before.Access == path {
		if fd := d.before.Take(upgrade.FDAccess); fd >= 0 {
			return os.NewFile(uintptr(fd), path), true, nil
		}
	}
	if d.account != nil {
		file, err = openFor(d.account, path)
	}
	return file, false, err
}

// openFor opens path as the user to be would. What that user may not, this one does, as
// long as no link is followed: who can write to the directory could have laid one to any
// file of the host.
func openFor(user *privileges.Account, path string) (file *os.File, err error) {
	err = user.Act(func() error {
		file, err = proxy.OpenAccessFile(path)
		return err
	})
	if !errors.Is(err, fs.ErrPermission) {
		return file, err
	}
	file, err = os.OpenFile(path, proxy.AccessFlags|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log.access: %w: name a file that user %d may write, and no symbolic link", err, user.UID)
	}
	if err := hand(file, user); err != nil {
		return nil, errors.Join(fmt.Errorf("log.access: %w", err), file.Close())
	}
	return file, nil
}

// hand makes file the user's, if it was this one's and has no other name: so logrotate
// makes the next one the user's, too.
func hand(file *os.File, user *privileges.Account) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || stat.Nlink != 1 || int(stat.Uid) != os.Geteuid() {
		return nil
	}
	return file.Chown(user.UID, -1)
}
