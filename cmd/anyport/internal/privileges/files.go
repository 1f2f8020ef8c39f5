package privileges

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// CheckOnly says where others than these users could put another file at path, an absolute
// one without symbolic links: where a part of it belongs to others, or others can write to
// it. In a directory with the sticky bit, what belongs to a user stays there.
func CheckOnly(path string, users ...int) error {
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

// writable reports whether others than its owner can replace a file, or what is in a
// directory.
func writable(mode, gid uint32) bool {
	if mode&unix.S_IFMT == unix.S_IFDIR && mode&unix.S_ISVTX != 0 {
		return false
	}
	return mode&unix.S_IWOTH != 0 || mode&unix.S_IWGRP != 0 && gid != 0
}
