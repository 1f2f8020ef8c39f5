package accesslog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Flags open a file to append lines to, and create it where there is none. With O_NONBLOCK a FIFO
// that nobody reads is an error (ENXIO) instead of a wait for its reader.
const Flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND | unix.O_NONBLOCK | unix.O_NOCTTY

// OpenFile opens the file of the access log.
func OpenFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, Flags, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log.access: %w: %s", err, remedy(path, err))
	}
	return file, nil
}

// remedy says what an operator can do where path cannot be opened.
func remedy(path string, why error) string {
	if errors.Is(why, unix.ENXIO) {
		return `it is a FIFO that nobody reads, or a socket: start its reader first, or name a file, or "stderr"`
	}
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
