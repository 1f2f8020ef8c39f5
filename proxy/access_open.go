package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// OpenAccessFile opens a file to append lines to, and creates it where there is none.
func OpenAccessFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log.access: %w: %s", err, remedy(path, err))
	}
	return file, nil
}

// remedy says what an operator can do where path cannot be opened.
func remedy(path string, why error) string {
	if !errors.Is(why, fs.ErrPermission) {
		return `name a file that this user may write, or "stderr"`
	}
	self := userName(os.Geteuid())
	if about, ok := owned(path); ok {
		return fmt.Sprintf("%s, and anyport runs as user %s: chown %s %s (in logrotate: create 0640 %s)", about, self, self, path, self)
	}
	about, _ := owned(filepath.Dir(path))
	return fmt.Sprintf("the file is not there, %s, and anyport runs as user %s: install -o %s -m 0640 /dev/null %s (in logrotate: create 0640 %s)", about, self, self, path, self)
}

// owned says whose path is; not ok where that is not known.
func owned(path string) (about string, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return path + " cannot be looked at", false
	}
	owner := "another"
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = userName(int(stat.Uid))
	}
	return fmt.Sprintf("%s belongs to user %s and has mode %04o", path, owner, info.Mode().Perm()), true
}

func userName(uid int) string {
	number := strconv.Itoa(uid)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}
