package services

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"anyport/steering/host"
	"anyport/steering/pins"
)

// Status is how a target stands.
type Status struct {
	Target
	Up      bool
	Addr    netip.AddrPort // of the socket; not valid: there is none
	PID     int            // of a process that has it open; 0: none
	Process string
	Cgroup  string    // "": the service has none now
	Since   time.Time // of the last change; zero: it was not looked at yet
	Problem string    // why a service that runs is not reached
	Kernel  bool      // a TCP listener is noticed at listen(2), also without this process
}

// Status returns how t stands; the zero Status if it is not watched.
func (w *Watcher) Status(t Target) Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.targets[t]
	if !ok {
		return Status{Target: t}
	}
	a := w.attached[t.Name]
	status := Status{
		Target: t, Up: s.cookie != 0 && w.inMap(t) != 0, Since: s.since,
		Cgroup: a.dir, Kernel: a.link != nil && s.expected.IsValid(),
	}
	if s.problem != nil {
		status.Problem = s.problem.Error()
	}
	if status.Up {
		status.Addr, status.PID, status.Process = s.socket.Addr, s.holder.pid, host.ProcessName(s.holder.pid)
	}
	return status
}

// Pin pins the links in a directory of a bpffs, under names of this process, unless they are, and removes those
// of others.
func (w *Watcher) Pin(dir string, present []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := map[string]bool{}
	var errs []error
	for _, a := range w.attached {
		if a.link == nil {
			continue
		}
		name := pinName(a)
		wanted[name] = true
		if _, err := os.Lstat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, a.link.Unpin(), a.link.Pin(filepath.Join(dir, name)))
		}
	}
	for _, name := range present {
		if pins.IsListener(name) && !wanted[name] {
			errs = append(errs, os.Remove(filepath.Join(dir, name)))
		}
	}
	return errors.Join(errs...)
}

// pinName differs between processes: the link of the one before stays until this one has its own.
func pinName(a attachment) string {
	return fmt.Sprintf("%s%d_%d", pins.ListenerPrefix, a.inode, os.Getpid())
}

// inode reads the number that identifies a file.
func inode(info fs.FileInfo) (uint64, error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	return stat.Ino, nil
}
