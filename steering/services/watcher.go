package services

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/host"
)

// Interval is how long a socket that note_listener does not see is missing at most, beside the time for the search.
const Interval = 50 * time.Millisecond

// slowInterval is for what costs more than a look at the map.
const slowInterval = time.Second

// Watcher keeps the map local_sockets filled. Its methods may be called from any goroutine; mu guards everything
// but what does not change. It starts none: its owner calls Check.
type Watcher struct {
	sockets *ebpf.Map
	hook    *Hook // nil: it could not be loaded
	log     *slog.Logger

	mu       sync.Mutex
	targets  map[Target]*state
	attached map[string]attachment // by the name of the service
}

// state is what is known of a target.
type state struct {
	cookie   uint64 // of the socket in the map; 0: none
	socket   host.Socket
	holder   descriptor     // where a process has it open; pid 0: not known
	held     time.Time      // when that was looked at last
	expected netip.AddrPort // what note_listener waits for; not valid: nothing
	since    time.Time      // of the last change; zero: none was seen
	problem  error          // why a service that runs is not reached
	searched time.Time      // the last slow search
	rests    time.Time      // no search before
}

// NewWatcher watches nothing yet. hook may be nil.
func NewWatcher(sockets *ebpf.Map, hook *Hook, log *slog.Logger) *Watcher {
	return &Watcher{sockets: sockets, hook: hook, log: log, targets: map[Target]*state{}, attached: map[string]attachment{}}
}

// Add begins to watch targets, and looks for their sockets once: they are in the map when it returns. It is an error
// if a socket of a new one exists perhaps, and this process may not look; the caller then calls Keep.
func (w *Watcher) Add(targets []Target, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var added []Target
	for _, t := range targets {
		if w.targets[t] == nil {
			w.targets[t] = new(state)
			added = append(added, t)
		}
	}
	w.checkAll(now)
	for _, t := range added {
		if problem := w.targets[t].problem; errors.Is(problem, ErrNotShown) {
			return problem
		}
	}
	return nil
}

// Keep ends to watch all other targets.
func (w *Watcher) Keep(targets []Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := map[string]bool{}
	for _, t := range targets {
		names[t.Name] = true
	}
	for t, s := range w.targets {
		if !slices.Contains(targets, t) {
			w.logFault(w.hook.forget(t, s.expected))
			w.logFault(w.empty(t))
			delete(w.targets, t)
		}
	}
	for name, a := range w.attached {
		if !names[name] {
			w.logFault(a.close())
			delete(w.attached, name)
		}
	}
}

// Check looks for what has changed, and reports whether anything is watched.
func (w *Watcher) Check(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkAll(now)
	return len(w.targets) > 0
}

// Close detaches the program, and leaves the map as it is.
func (w *Watcher) Close() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, a := range w.attached {
		errs = append(errs, a.close())
	}
	clear(w.attached)
	clear(w.targets)
	return errors.Join(append(errs, w.hook.Close())...)
}

func (w *Watcher) checkAll(now time.Time) {
	for t, s := range w.targets {
		dir, err := cgroupOf(t.Name)
		if err == nil && t.Protocol == config.TCP {
			w.follow(t, s, dir)
		}
		w.check(t, s, dir, err, now)
	}
}

// follow attaches the program to the cgroup that the service has now.
func (w *Watcher) follow(t Target, s *state, dir string) {
	if !s.expected.IsValid() && t.Listener.IsValid() {
		s.expected = t.Listener
		w.logFault(w.hook.expect(t, s.expected))
	}
	a, there := w.attached[t.Name]
	if dir == "" {
		return
	}
	if inode, err := inodeOf(dir); err != nil || there && a.inode == inode && a.dir == dir {
		return
	}
	next := w.hook.attach(t.NameID(), dir)
	if next.err != nil && !errors.Is(next.err, fs.ErrNotExist) {
		w.log.Warn("cannot follow the listeners of a service in the kernel: it is looked for by polling", "service", t.Name, "error", next.err)
	}
	w.logFault(a.close())
	w.attached[t.Name] = next
}

// inMap is the cookie of the socket in the map, 0 if there is none.
func (w *Watcher) inMap(t Target) (cookie uint64) {
	if w.sockets.Lookup(keyOf(t), &cookie) != nil {
		return 0
	}
	return cookie
}

// empty takes the socket of t out of the map.
func (w *Watcher) empty(t Target) error {
	err := w.sockets.Delete(keyOf(t))
	if err == nil || errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return fmt.Errorf("take a socket out of the kernel's table: %w", err)
}

func (w *Watcher) logFault(err error) {
	if err != nil {
		w.log.Error("cannot change which sockets of services the kernel expects", "error", err)
	}
}

// keyOf is the key of t in local_sockets.
func keyOf(t Target) bpf.SteerLocalKey {
	return bpf.SteerLocalKey{Service: t.ID(), Protocol: uint64(t.Protocol)}
}
