package steering

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"anyport/bpf"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// pins is the directory of a bpffs that keeps an estate when its process ends. It
// holds the program, the maps under their names, and the link. The link is pinned last
// and unpinned first: without it, what is there is what a crash left half done.
type pins struct {
	path string
	lock *os.File // the directory, flock(2): one process has it at a time
	kept bool     // the estate is in it
}

// pinLink is the link's file; the program's and the maps' are named as in steer.bpf.c.
const pinLink = "link"

// openPins creates the directory, unless it is there, and locks it.
func openPins(path string) (*pins, error) {
	if !inBPFFS(path) {
		return nil, fmt.Errorf("steering.pin: %s is in no bpffs: mount one with: mount -t bpf bpf /sys/fs/bpf, and name a directory in it, such as /sys/fs/bpf/anyport", path)
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("steering.pin: %w", err)
	}
	return lockPins(path)
}

func inBPFFS(path string) bool {
	var stat unix.Statfs_t
	err := unix.Statfs(filepath.Dir(path), &stat)
	return err == nil && stat.Type == unix.BPF_FS_MAGIC
}

// lockPins wants the directory to be there.
func lockPins(path string) (*pins, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("steering.pin: %w", err)
	}
	err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errors.New("the process whose pins these are is still running: stop it, or name another directory")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("steering.pin: lock %s: %w", path, err), dir.Close())
	}
	return &pins{path: path, lock: dir}, nil
}

// inheritPins takes the directory from the process that has it locked, if path is it.
func inheritPins(path string, fd int) (*pins, error) {
	p := &pins{path: path, lock: os.NewFile(uintptr(fd), path), kept: true}
	if !p.lockedAt(path) {
		return nil, errors.Join(fmt.Errorf("steering.pin is %q and the pins are in another directory: a restart changes it, after `anyport unload`", path), p.close())
	}
	return p, nil
}

// lockedAt reports whether the directory that is locked has that path. In a bpffs that is
// root's alone, as systemd mounts it, a process with steering.user cannot look at the path.
func (p *pins) lockedAt(path string) bool {
	if name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", p.lock.Fd())); err == nil && name == filepath.Clean(path) {
		return true
	}
	locked, err := p.lock.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(locked, named)
}

// save pins e, or nothing. Only their owner may open the files: bpffs gives them 0600.
func (p *pins) save(e *estate) error {
	if err := p.pin(e); err != nil {
		return errors.Join(fmt.Errorf("steering.pin: %w", err), p.remove(func(string) {}))
	}
	p.kept = true
	return nil
}

// replace pins e, and nothing of what was pinned before.
func (p *pins) replace(e *estate) error {
	if err := errors.Join(e.unpin(), p.remove(func(string) {})); err != nil {
		return fmt.Errorf("steering.pin: %w", err)
	}
	return p.save(e)
}

// checkWritable is for before it is too late for an error.
func (p *pins) checkWritable() error {
	if err := unix.Faccessat(unix.AT_FDCWD, p.path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("steering.pin: another program cannot take the place of what is in %s: %w: restart it instead", p.path, err)
	}
	return nil
}

func (p *pins) pin(e *estate) error {
	if err := os.Chmod(p.path, 0o700); err != nil {
		return err
	}
	if err := e.program.Pin(p.file(bpf.SteerProgSteer)); err != nil {
		return err
	}
	for name, m := range e.maps {
		if err := m.Pin(p.file(name)); err != nil {
			return err
		}
	}
	return e.link.Pin(p.file(pinLink))
}

// saveLink pins l in the place of a link that is of no more use.
func (p *pins) saveLink(l *link.NetNsLink) error {
	if err := os.Remove(p.file(pinLink)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("steering.pin: %w", err)
	}
	if err := l.Pin(p.file(pinLink)); err != nil {
		return fmt.Errorf("steering.pin: %w", err)
	}
	return nil
}

// load opens what is pinned, which may be nothing or half of an estate. It refuses
// what is not ours. On error it returns what is to be closed.
func (p *pins) load() (e estate, err error) {
	entries, err := os.ReadDir(p.path)
	if err != nil || len(entries) == 0 {
		return e, err
	}
	e.program, err = ebpf.LoadPinnedProgram(p.file(bpf.SteerProgSteer), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return e, p.notOurs(entries[0].Name(), errors.New("there is no steering program with it"))
	}
	if err != nil {
		return e, p.notOurs(bpf.SteerProgSteer, err)
	}
	info, err := e.program.Info()
	if err != nil {
		return e, err
	}
	if info.Type != ebpf.SkLookup || info.Name != bpf.SteerProgSteer {
		return e, p.notOurs(bpf.SteerProgSteer, fmt.Errorf("the program is %s, of type %v", info.Name, info.Type))
	}
	ids, _ := info.MapIDs()
	e.maps = make(map[string]*ebpf.Map)
	for _, entry := range entries {
		switch name := entry.Name(); name {
		case bpf.SteerProgSteer:
		case pinLink:
			e.link, err = loadLink(p.file(name))
		default:
			e.maps[name], err = loadMap(p.file(name), ids)
		}
		if err != nil {
			return e, p.notOurs(entry.Name(), err)
		}
	}
	return e, nil
}

func loadLink(path string) (*link.NetNsLink, error) {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return nil, err
	}
	return asNetNsLink(l)
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

func (p *pins) notOurs(name string, err error) error {
	return fmt.Errorf("steering.pin: %s is not anyport's: %w: name another directory, or remove it", p.file(name), err)
}

// remove unpins all, and calls gone with each file.
func (p *pins) remove(gone func(path string)) error {
	entries, err := os.ReadDir(p.path)
	if err != nil {
		return err
	}
	names := []string{pinLink}
	for _, entry := range entries {
		if entry.Name() != pinLink {
			names = append(names, entry.Name())
		}
	}
	for _, name := range names {
		err := os.Remove(p.file(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		gone(p.file(name))
	}
	p.kept = false
	return nil
}

func (p *pins) file(name string) string { return filepath.Join(p.path, name) }

// close gives the directory free, and removes it if it is empty.
func (p *pins) close() error {
	if p == nil {
		return nil
	}
	if !p.kept {
		os.Remove(p.path)
	}
	return p.lock.Close()
}
