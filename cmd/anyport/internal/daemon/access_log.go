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

// openAccess opens the access log, so that steering.user can open it again after a rotation.
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

// accessFile returns the file that the process before writes, or one that steering.user may write; nil
// if there is neither: the log then opens its file itself.
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
		file, err = openAsUser(d.account, path)
	}
	return file, false, err
}

// openAsUser opens path with the rights of the user. If that user may not, root opens it, but follows
// no link: somebody who can write to the directory could have put a link to any file of the host
// there.
func openAsUser(user *privileges.Account, path string) (file *os.File, err error) {
	err = user.Do(func() error {
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
	if err := giveTo(file, user); err != nil {
		return nil, errors.Join(fmt.Errorf("log.access: %w", err), file.Close())
	}
	return file, nil
}

// giveTo makes the user the owner of the file, so that logrotate does so with the next one. It does
// nothing with a file that is not this user's own or has another name: that may be a hard link.
func giveTo(file *os.File, user *privileges.Account) error {
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
