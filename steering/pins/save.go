package pins

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/program"
)

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
