package pins

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Dir is the directory of a bpffs that keeps a [program.Loaded] when its process ends. It
// holds the program, the maps under their names, and the link. The link is pinned last
// and unpinned first: without it, what is there is what a crash left half done.
//
// All access to the files is by way of the open directory, so that the directory that was
// checked is the one that is used, whatever stands at its path meanwhile; and a process that
// has changed its user needs no access to the directories above.
type Dir struct {
	Path      string
	Auto      bool                 // anyport chose the directory, and removes it at an orderly stop
	directory *os.File             // the directory, flock(2): one process has it at a time
	Saved     bool                 // the program is in it: Close leaves the directory
	fleet     map[string]link.Link // what KeepFleet has pinned, by file
}

// ErrLocked: flock(2) says that another process has the directory.
var ErrLocked = errors.New("the process whose pins these are is still running: stop it, or name another directory")

// LinkName is the link's file; the program's and the maps' are named as in steer.bpf.c.
const LinkName = "link"

// ListenerPrefix begins the names of the links that attach note_listener to cgroups. They hold the program and its
// maps, which no other process uses: the next one attaches its own.
const ListenerPrefix = "listen_"

// IsListener reports whether a file of that name is such a link.
func IsListener(name string) bool { return strings.HasPrefix(name, ListenerPrefix) }

// Open creates the directory, unless it is there, and locks it.
func Open(at Place) (*Dir, error) {
	if err := at.OnBPFFS(); err != nil {
		return nil, err
	}
	if err := os.Mkdir(at.Path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("steering.pin: %w", err)
	}
	return OpenExisting(at)
}

// OpenExisting wants the directory to be there.
func OpenExisting(at Place) (*Dir, error) {
	dir, err := openChecked(at)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("steering.pin: lock %s: %w", at.Path, err), dir.Close())
	}
	return &Dir{Path: at.Path, Auto: at.Auto, directory: dir}, nil
}

// Inherit takes the directory from the process that has it locked, if it is the place.
func Inherit(at Place, fd int) (*Dir, error) {
	p := &Dir{Path: at.Path, Auto: at.Auto, directory: os.NewFile(uintptr(fd), at.Path), Saved: true}
	if !at.isOpenAs(p.directory) {
		return nil, errors.Join(fmt.Errorf("steering.pin is %q and the pins are in another directory: a restart changes it, after `anyport unload`", at.setting()), p.Close())
	}
	return p, nil
}

// DisplayName is the path of a file in messages; see FDPath.
func (p *Dir) DisplayName(name string) string { return filepath.Join(p.Path, name) }

// FDPath is the path to open a file by: see [Dir].
func (p *Dir) FDPath(name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", p.directory.Fd(), name)
}

// Chown gives the directory to the user that this process becomes, which has to change
// what is in it later.
func (p *Dir) Chown(uid, gid int) error {
	if err := errors.Join(p.directory.Chmod(0o700), p.directory.Chown(uid, gid)); err != nil {
		return fmt.Errorf("steering.pin: %w", err)
	}
	return nil
}

// Close unlocks the directory. If nothing was saved in it, it is removed, unless others put files there.
func (p *Dir) Close() error {
	if p == nil {
		return nil
	}
	if !p.Saved {
		os.Remove(p.Path)
	}
	return p.directory.Close()
}

// FD is the descriptor of the directory, which holds the lock.
func (p *Dir) FD() int { return int(p.directory.Fd()) }
