package pins

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/config"
)

// Root is where systemd mounts the bpffs, and where steering.pin = "auto" looks for one.
const Root = "/sys/fs/bpf"

// mountBPFFS is the command that error messages name. Mode 0700: only root may pin.
const mountBPFFS = "mount -t bpf -o mode=0700 bpf " + Root

// Place is where the steering of an instance is pinned, as steering.pin says. [PlaceOf]
// makes one.
type Place struct {
	Path   string // "": nowhere
	Auto   bool   // anyport has chosen the path; where it cannot be used, nothing is pinned
	Owners []int  // who may own the directory
}

// PlaceOf is the place of an instance in the network namespace of that inode number. Many
// namespaces share one bpffs, and several instances one namespace: the path that anyport
// chooses is different for each namespace, and for each path of a config file.
//
// The kernel reuses the number of a namespace that has ended. Pins that are left from such a
// namespace have a link that is detached.
func PlaceOf(cfg *config.Config, inode uint64) Place {
	at := Place{Path: cfg.Steering.Pin, Owners: owners(cfg.Steering.User)}
	if at.Path == config.PinAuto {
		at.Auto, at.Path = true, filepath.Join(Root, autoName(inode)+configID(cfg.Path))
	}
	return at
}

// autoName begins the names of all directories that are chosen for a namespace.
func autoName(inode uint64) string { return fmt.Sprintf("anyport_%d_", inode) }

// configID is a short name for the path of a config file.
func configID(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(path)))[:8]
}

// owners are the users who may own what this process trusts: root, itself, and the one that
// it becomes.
func owners(name string) []int {
	ids := []int{0, os.Geteuid()}
	if u, err := user.Lookup(name); err == nil {
		name = u.Uid
	}
	if id, err := strconv.Atoi(name); err == nil {
		ids = append(ids, id)
	}
	return ids
}

// setting is the value of steering.pin.
func (at Place) setting() string {
	if at.Auto {
		return config.PinAuto
	}
	return at.Path
}

// Reachable says why no directory can be made in the place that anyport has chosen; nil: one
// can.
func (at Place) Reachable() error {
	if err := at.OnBPFFS(); err != nil {
		return fmt.Errorf("%s is not a bpffs: mount one with: %s", Root, mountBPFFS)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, Root, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("this process may not write to %s: %w", Root, err)
	}
	return nil
}

// Usable says why the place cannot be used; nil: it can.
func (at Place) Usable() error {
	err := at.OnBPFFS()
	if at.Auto {
		err = at.Reachable()
	}
	if err != nil {
		return err
	}
	dir, err := openChecked(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return dir.Close()
}

// OnBPFFS says what to do where the directory would not be in a bpffs.
func (at Place) OnBPFFS() error {
	var stat unix.Statfs_t
	err := unix.Statfs(filepath.Dir(at.Path), &stat)
	if err != nil || stat.Type != unix.BPF_FS_MAGIC {
		return fmt.Errorf("steering.pin: %s is in no bpffs: mount one with: %s, and name a directory in it, such as %s/anyport", at.Path, mountBPFFS, Root)
	}
	return nil
}

// isOpenAs reports whether dir is the place. A process that has changed its user may not be able to
// look at the path, but the kernel shows everyone the path of an open directory.
func (at Place) isOpenAs(dir *os.File) bool {
	if opened, err := dir.Stat(); err == nil {
		if named, err := os.Lstat(at.Path); err == nil {
			return os.SameFile(opened, named)
		}
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	return err == nil && path == at.Path
}

// openChecked opens the directory if nobody else can have prepared what is in it: whoever
// may write there could have an anyport adopt a link and maps of theirs, or remove those that
// keep the ports closed.
func openChecked(at Place) (*os.File, error) {
	fd, err := unix.Open(at.Path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) { // which of them a link gives depends on the kernel
		return nil, fmt.Errorf("steering.pin: %s is a symbolic link or no directory: remove it, or name another directory", at.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("steering.pin: %w", &fs.PathError{Op: "open", Path: at.Path, Err: err})
	}
	dir := os.NewFile(uintptr(fd), at.Path)
	if err := at.checkTrust(fd); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// checkTrust looks at the open directory, not at its path: who can rename it could swap it between
// the check and its use.
func (at Place) checkTrust(fd int) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return fmt.Errorf("steering.pin: %s: %w", at.Path, err)
	}
	var on unix.Statfs_t
	if err := unix.Fstatfs(fd, &on); err != nil || on.Type != unix.BPF_FS_MAGIC {
		return fmt.Errorf("steering.pin: %s is in no bpffs: mount one with: %s", at.Path, mountBPFFS)
	}
	switch {
	case !slices.Contains(at.Owners, int(stat.Uid)):
		return fmt.Errorf("steering.pin: %s belongs to user %d, who could change what is pinned there: remove it with: rm -r %s, or name another directory", at.Path, stat.Uid, at.Path)
	case stat.Mode&0o022 != 0:
		return fmt.Errorf("steering.pin: others may write to %s (mode %#o), and so change what is pinned there: if nobody has, chmod 0700 %s, or name another directory", at.Path, stat.Mode&0o7777, at.Path)
	}
	return nil
}

// AutoPlaces are the directories that an anyport has chosen, for whichever namespace and
// config file.
func AutoPlaces(users []int) []Place {
	entries, err := os.ReadDir(Root)
	if err != nil {
		return nil // no bpffs, or not for us
	}
	var all []Place
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "anyport_") {
			all = append(all, Place{Path: filepath.Join(Root, e.Name()), Auto: true, Owners: users})
		}
	}
	return all
}
