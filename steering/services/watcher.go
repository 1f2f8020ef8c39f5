package services

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"syscall"
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
	holder   int            // a process that has it open; 0: not known
	expected netip.AddrPort // what note_listener waits for; not valid: nothing
	since    time.Time      // of the last change; zero: none was seen
	problem  string         // why a service that runs is not reached
	searched time.Time      // the last slow search
}

// NewWatcher watches nothing yet. hook may be nil.
func NewWatcher(sockets *ebpf.Map, hook *Hook, log *slog.Logger) *Watcher {
	return &Watcher{sockets: sockets, hook: hook, log: log, targets: map[Target]*state{}, attached: map[string]attachment{}}
}

// Add begins to watch targets, and looks for their sockets once: they are in the map when it returns.
func (w *Watcher) Add(targets []Target, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range targets {
		if w.targets[t] == nil {
			w.targets[t] = new(state)
		}
	}
	w.checkAll(now)
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

// check compares the map with what was there before, and searches if something is new or missing.
func (w *Watcher) check(t Target, s *state, dir string, err error, now time.Time) {
	cookie := w.inMap(t)
	if err == nil && cookie != 0 && cookie == s.cookie {
		return
	}
	var o owned
	if err == nil {
		o, err = w.search(t, dir)
	}
	var found []host.Socket
	if err == nil {
		found, err = t.choose(o.sockets)
	}
	if err == nil && len(found) == 0 && now.Sub(s.searched) >= slowInterval {
		s.searched = now
		err = o.mptcp(t.Name)
	} else if err == nil && len(found) == 0 {
		err = w.sameProblem(s)
	}
	w.expectFound(t, s, found, err)
	w.put(t, s, o, found, cookie, err, now)
}

// sameProblem keeps what a slow search has found until the next one.
func (w *Watcher) sameProblem(s *state) error {
	if s.problem == "" {
		return nil
	}
	return errors.New(s.problem)
}

// search reads the sockets of the service.
func (w *Watcher) search(t Target, dir string) (owned, error) {
	pids, err := processesOf(t.Name, dir)
	if err != nil {
		return owned{}, err
	}
	return find(t.Name, pids)
}

// expectFound has note_listener wait for the address that was found, if the file names none. While it is not clear
// which it is, the program waits for none.
func (w *Watcher) expectFound(t Target, s *state, found []host.Socket, err error) {
	if t.Protocol != config.TCP || t.Listener.IsValid() || err == nil && len(found) == 0 {
		return
	}
	addr := netip.AddrPort{}
	if err == nil {
		addr = learned(t, found)
	}
	if addr == s.expected {
		return
	}
	if s.expected.IsValid() {
		w.logFault(w.hook.forget(t, s.expected))
	}
	if s.expected = addr; addr.IsValid() {
		w.logFault(w.hook.expect(t, addr))
	}
}

// put makes the map hold one of found, or nothing.
func (w *Watcher) put(t Target, s *state, o owned, found []host.Socket, cookie uint64, err error, now time.Time) {
	i := slices.IndexFunc(found, func(f host.Socket) bool { return f.Cookie == cookie })
	if i < 0 && cookie != 0 { // not of the service, or not of this namespace
		err = errors.Join(err, w.empty(t))
	}
	for j := 0; i < 0 && err == nil && j < len(found); j++ {
		var fd int
		if fd, err = o.holders[found[j].Inode].copySocket(found[j].Inode); err != nil {
			continue
		}
		err = errors.Join(w.sockets.Put(keyOf(t), uint64(fd)), syscall.Close(fd))
		i = j
	}
	if i < 0 || err != nil {
		w.gone(t, s, err, now)
		return
	}
	w.appeared(t, s, found[i], o.holders[found[i].Inode].pid, now)
}

// appeared notes that packets go to a socket.
func (w *Watcher) appeared(t Target, s *state, socket host.Socket, holder int, now time.Time) {
	w.log.Info("a socket of a service takes packets", "service", t.Name, "protocol", t.Protocol, "listener", socket.Addr, "pid", holder, "process", processName(holder))
	*s = state{cookie: socket.Cookie, socket: socket, holder: holder, expected: s.expected, since: now}
}

// gone notes that there is no socket, and why if the service runs.
func (w *Watcher) gone(t Target, s *state, err error, now time.Time) {
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if s.cookie != 0 || s.since.IsZero() {
		w.log.Warn("a service has no socket that takes packets", "service", t.Name, "protocol", t.Protocol, "listener", cmp.Or(t.Listener, s.expected))
		s.since = now
	}
	if problem != "" && problem != s.problem {
		w.log.Error("packets cannot go to a service", "service", t.Name, "protocol", t.Protocol, "error", problem)
	}
	s.cookie, s.socket, s.holder, s.problem = 0, host.Socket{}, 0, problem
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
