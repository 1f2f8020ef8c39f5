package privileges

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// CheckTrusted refuses a path at which other users than these could put another file, and names the
// part that they could change: it belongs to another user, or another user can write to it. In a
// directory with the sticky bit only its owner can replace a file. path is absolute and has no
// symbolic links.
func CheckTrusted(path string, users ...int) error {
	for ; ; path = filepath.Dir(path) {
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil {
			return &os.PathError{Op: "lstat", Path: path, Err: err}
		}
		if !slices.Contains(users, int(stat.Uid)) {
			return fmt.Errorf("%s belongs to user %d", path, stat.Uid)
		}
		if mode := stat.Mode; writable(mode, stat.Gid) {
			return fmt.Errorf("%s can be written by others (mode %v)", path, fs.FileMode(mode&0o777))
		}
		if path == filepath.Dir(path) {
			return nil
		}
	}
}

// writable reports whether other users than its owner and root can change a file, or replace what is in
// a directory.
func writable(mode, gid uint32) bool {
	if mode&unix.S_IFMT == unix.S_IFDIR && mode&unix.S_ISVTX != 0 {
		return false
	}
	return mode&unix.S_IWOTH != 0 || mode&unix.S_IWGRP != 0 && gid != 0
}
