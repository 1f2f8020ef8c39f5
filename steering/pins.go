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
//
// All access to the files is by way of the open directory, so that the directory that was
// checked is the one that is used, whatever stands at its path meanwhile; and a process that
// has changed its user needs no access to the directories above.
type pins struct {
	path string
	auto bool     // anyport chose the directory, and removes it at an orderly stop
	lock *os.File // the directory, flock(2): one process has it at a time
	kept bool     // the estate is in it
}

var errLocked = errors.New("the process whose pins these are is still running: stop it, or name another directory")

// pinLink is the link's file; the program's and the maps' are named as in steer.bpf.c.
const pinLink = "link"

// openPins creates the directory, unless it is there, and locks it.
func openPins(at place) (*pins, error) {
	if err := at.inBPFFS(); err != nil {
		return nil, err
	}
	if err := os.Mkdir(at.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("steering.pin: %w", err)
	}
	return lockPins(at)
}

// lockPins wants the directory to be there.
func lockPins(at place) (*pins, error) {
	dir, err := openTrusted(at)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("steering.pin: lock %s: %w", at.path, err), dir.Close())
	}
	return &pins{path: at.path, auto: at.auto, lock: dir}, nil
}

// inheritPins takes the directory from the process that has it locked, if it is the place.
func inheritPins(at place, fd int) (*pins, error) {
	p := &pins{path: at.path, auto: at.auto, lock: os.NewFile(uintptr(fd), at.path), kept: true}
	if !at.is(p.lock) {
		return nil, errors.Join(fmt.Errorf("steering.pin is %q and the pins are in another directory: a restart changes it, after `anyport unload`", at.key()), p.close())
	}
	return p, nil
}

// save pins e, or nothing. Only their owner may open the files: bpffs gives them 0600.
func (p *pins) save(e *estate) error {
	if err := p.pin(e); err != nil {
		return errors.Join(fmt.Errorf("steering.pin: %w", err), p.remove())
	}
	p.kept = true
	return nil
}

// replace pins e, and nothing of what was pinned before.
func (p *pins) replace(e *estate) error {
	if err := errors.Join(e.unpin(), p.remove()); err != nil {
		return fmt.Errorf("steering.pin: %w", err)
	}
	return p.save(e)
}

// checkWritable is for before it is too late for an error.
func (p *pins) checkWritable() error {
	if err := unix.Faccessat(unix.AT_FDCWD, p.at("."), unix.W_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("steering.pin: another program cannot take the place of what is in %s: %w: restart it instead", p.path, err)
	}
	return nil
}

func (p *pins) pin(e *estate) error {
	if err := p.lock.Chmod(0o700); err != nil {
		return err
	}
	if err := e.program.Pin(p.at(bpf.SteerProgSteer)); err != nil {
		return err
	}
	for name, m := range e.maps {
		if err := m.Pin(p.at(name)); err != nil {
			return err
		}
	}
	return e.link.Pin(p.at(pinLink))
}

// saveLink pins l in the place of a link that is of no more use.
func (p *pins) saveLink(l *link.NetNsLink) error {
	if err := os.Remove(p.at(pinLink)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("steering.pin: %w", err)
	}
	if err := l.Pin(p.at(pinLink)); err != nil {
		return fmt.Errorf("steering.pin: %w", err)
	}
	return nil
}

// load opens what is pinned, which may be nothing or half of an estate. It refuses
// what is not ours. On error it returns what is to be closed.
func (p *pins) load() (e estate, err error) {
	entries, err := os.ReadDir(p.at("."))
	if err != nil || len(entries) == 0 {
		return e, err
	}
	e.program, err = ebpf.LoadPinnedProgram(p.at(bpf.SteerProgSteer), nil)
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
			e.link, err = loadLink(p.at(name))
		default:
			e.maps[name], err = loadMap(p.at(name), ids)
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

// remove unpins all.
func (p *pins) remove() error {
	names, err := p.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(p.at(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	p.kept = false
	return nil
}

// names are the files of the directory in the order in which they are to be removed.
func (p *pins) names() ([]string, error) {
	entries, err := os.ReadDir(p.at("."))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() == pinLink {
			names = slices.Insert(names, 0, pinLink)
			continue
		}
		names = append(names, entry.Name())
	}
	return names, nil
}

// file is the name of a file for people, at the one to open it by.
func (p *pins) file(name string) string { return filepath.Join(p.path, name) }

func (p *pins) at(name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", p.lock.Fd(), name)
}

// entrust gives the directory to the user that this process becomes, who goes on to change
// what is in it.
func (p *pins) entrust(uid, gid int) error {
	if err := errors.Join(p.lock.Chmod(0o700), p.lock.Chown(uid, gid)); err != nil {
		return fmt.Errorf("steering.pin: %w", err)
	}
	return nil
}

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
