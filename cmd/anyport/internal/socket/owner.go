package socket

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/privileges"
)

// While root makes a file for another user, somebody who can write to its directory could put a
// link in the place of the new file before the chown, and the file behind the link would change
// its owner. So nothing is given away by name where users other than root can write.

// listenAs calls listen, which makes the socket at path, and makes owner the owner of the file.
func listenAs(owner *privileges.Account, path string, listen func() error) error {
	dir := filepath.Dir(path)
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if int(stat.Uid) == owner.UID { // as after an earlier start: makeDir
		if err := owner.Do(listen); err != nil {
			return fmt.Errorf("as user %d: %w", owner.UID, err)
		}
		return nil
	}
	if err := checkSafe(dir); err != nil {
		return err
	}
	if err := listen(); err != nil {
		return err
	}
	return os.Lchown(path, owner.UID, owner.GID)
}

// checkSafe refuses a directory in which others than root and this user could put another
// file in the place of one that is made there.
func checkSafe(dir string) error {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if err := privileges.CheckTrusted(resolved, 0, os.Geteuid()); err != nil {
		return fmt.Errorf("%w, so others could put a link in the place of what is made in %s and given to steering.user: name a directory of root's or of that user's", err, dir)
	}
	return nil
}

// makeDir makes the directory of the socket unless it is there. To remove the socket in
// the end, its owner must own the directory, too.
func makeDir(path string, owner *privileges.Account) error {
	parent := filepath.Dir(path)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	err := os.Mkdir(path, 0o755)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil || owner == nil:
		return err
	}
	if err = checkSafe(parent); err == nil {
		err = os.Lchown(path, owner.UID, owner.GID)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// NoGroup is the number of no group.
const NoGroup = -1

// giveToGroup makes a group that of the socket at path, with the mode 0660. By now somebody else may have put another file there, so the
// file is opened, looked at, and changed by its descriptor.
func giveToGroup(path string, owner *privileges.Account, group int) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	uid := os.Geteuid()
	if owner != nil {
		uid = owner.UID
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFSOCK || int(stat.Uid) != uid {
		return fmt.Errorf("%s is not the socket any more that was made", path)
	}
	if err := unix.Fchownat(fd, "", -1, group, unix.AT_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "chgrp", Path: path, Err: err}
	}
	return os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o660) // fchmod(2) takes no O_PATH
}
