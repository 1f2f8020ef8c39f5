package pins

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/program"
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

// Save pins e, or nothing. Only their owner may open the files: bpffs gives them 0600.
func (p *Dir) Save(e *program.Loaded) error {
	if err := p.pinAll(e); err != nil {
		return errors.Join(fmt.Errorf("steering.pin: %w", err), p.Remove())
	}
	p.Saved = true
	return nil
}

// Replace pins e, and nothing of what was pinned before.
func (p *Dir) Replace(e *program.Loaded) error {
	if err := errors.Join(e.Unpin(), p.Remove()); err != nil {
		return fmt.Errorf("steering.pin: %w", err)
	}
	return p.Save(e)
}

// CheckWritable says whether Replace could succeed, while the caller can still refuse the upgrade.
func (p *Dir) CheckWritable() error {
	if err := unix.Faccessat(unix.AT_FDCWD, p.FDPath("."), unix.W_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("steering.pin: another program cannot take the place of what is in %s: %w: restart it instead", p.Path, err)
	}
	return nil
}

// pinAll pins the link last: a directory without one was left half done by a crash.
func (p *Dir) pinAll(e *program.Loaded) error {
	if err := p.directory.Chmod(0o700); err != nil {
		return err
	}
	if err := e.Program.Pin(p.FDPath(bpf.SteerProgSteer)); err != nil {
		return err
	}
	for name, m := range e.Maps {
		if err := m.Pin(p.FDPath(name)); err != nil {
			return err
		}
	}
	return e.Link.Pin(p.FDPath(LinkName))
}

// SaveLink pins l in the place of a link that is detached.
func (p *Dir) SaveLink(l *link.NetNsLink) error {
	if err := os.Remove(p.FDPath(LinkName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("steering.pin: %w", err)
	}
	if err := l.Pin(p.FDPath(LinkName)); err != nil {
		return fmt.Errorf("steering.pin: %w", err)
	}
	return nil
}

// Load opens what is pinned, which may be nothing, or what a crash has left half done. It refuses
// what is not ours. On error it returns what is to be closed.
func (p *Dir) Load() (e program.Loaded, err error) {
	entries, err := os.ReadDir(p.FDPath("."))
	if err != nil || len(entries) == 0 {
		return e, err
	}
	e.Program, err = ebpf.LoadPinnedProgram(p.FDPath(bpf.SteerProgSteer), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return e, p.notOurs(entries[0].Name(), errors.New("there is no steering program with it"))
	}
	if err != nil {
		return e, p.notOurs(bpf.SteerProgSteer, err)
	}
	info, err := e.Program.Info()
	if err != nil {
		return e, err
	}
	if info.Type != ebpf.SkLookup || info.Name != bpf.SteerProgSteer {
		return e, p.notOurs(bpf.SteerProgSteer, fmt.Errorf("the program is %s, of type %v", info.Name, info.Type))
	}
	ids, _ := info.MapIDs()
	e.Maps = make(map[string]*ebpf.Map)
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == bpf.SteerProgSteer || IsListener(name) || isFast(name) || isFleet(name):
		case name == LinkName:
			e.Link, err = loadLink(p.FDPath(name))
		case name == program.SavedMap:
			e.Maps[name], err = loadChecked(p.FDPath(name), program.CheckSaved)
		case name == bpf.SteerMapKnockNonces:
			e.Maps[name], err = loadChecked(p.FDPath(name), program.CheckNonces)
		default:
			e.Maps[name], err = loadMap(p.FDPath(name), ids)
		}
		if err != nil {
			return e, p.notOurs(entry.Name(), err)
		}
	}
	return e, nil
}

// loadLink refuses a link of another kind.
func loadLink(path string) (*link.NetNsLink, error) {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return nil, err
	}
	return program.AsNetNsLink(l)
}

// loadChecked wants a map that only processes use: the program does not name it.
func loadChecked(path string, check func(*ebpf.Map) error) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return nil, err
	}
	if err := check(m); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// loadMap wants one of the maps that the program uses.
func loadMap(path string, used []ebpf.MapID) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return nil, err
	}
	info, err := m.Info()
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if id, ok := info.ID(); !ok || !slices.Contains(used, id) {
		return nil, errors.Join(errors.New("the pinned program does not use this map"), m.Close())
	}
	return m, nil
}

// notOurs never removes what it names: another program may be using it.
func (p *Dir) notOurs(name string, err error) error {
	return fmt.Errorf("steering.pin: %s is not anyport's: %w: name another directory, or remove it", p.DisplayName(name), err)
}

// Remove unpins all.
func (p *Dir) Remove() error {
	names, err := p.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(p.FDPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	p.Saved = false
	return nil
}

// Names are the files of the directory in the order in which they are to be removed.
func (p *Dir) Names() ([]string, error) {
	entries, err := os.ReadDir(p.FDPath("."))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() == LinkName {
			names = slices.Insert(names, 0, LinkName)
			continue
		}
		names = append(names, entry.Name())
	}
	return names, nil
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
