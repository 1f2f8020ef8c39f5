package services

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"anyport/config"
	"anyport/steering/host"
)

// searchShare bounds what searches cost: after each, the target rests for this many times as long.
const searchShare = 20

// check compares the map with what was there before, and searches if something is new or missing.
func (w *Watcher) check(t Target, s *state, dir string, err error, now time.Time) {
	cookie := w.inMap(t)
	if err == nil && cookie != 0 && cookie == s.cookie && s.isHeld(now) || now.Before(s.rests) {
		return
	}
	begun := time.Now()
	defer func() { s.rests = now.Add(searchShare * time.Since(begun)) }()
	var o owned
	if err == nil {
		o, err = w.search(t, dir)
	}
	var found []host.Socket
	if err == nil {
		found, err = t.choose(o.sockets)
	}
	if err == nil {
		found, err = o.steerable(t.Name, found)
	}
	if err == nil && len(found) == 0 && now.Sub(s.searched) >= slowInterval {
		s.searched = now
		err = o.mptcp(t.Name)
	} else if err == nil && len(found) == 0 {
		err = s.problem // until the next slow search
	}
	w.expectFound(t, s, found, err)
	w.put(t, s, o, found, cookie, err, now)
}

// isHeld reports whether the process that had the socket still has it. It may have passed it on, to another service
// too, and then the socket stays in the map.
func (s *state) isHeld(now time.Time) bool {
	if s.holder.pid == 0 || now.Sub(s.held) < slowInterval {
		return true
	}
	s.held = now
	return s.holder.holds(s.socket.Inode)
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
	if errors.Is(err, ErrNotShown) && cookie != 0 { // note_listener has put it there, or a process that was allowed to look
		w.appeared(t, s, host.Socket{Listener: host.Listener{Protocol: t.Protocol, Addr: s.expected}, Cookie: cookie}, descriptor{}, now)
		return
	}
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
	w.appeared(t, s, found[i], o.holders[found[i].Inode], now)
}

// appeared notes that packets go to a socket, or that another process has it now.
func (w *Watcher) appeared(t Target, s *state, socket host.Socket, holder descriptor, now time.Time) {
	if s.cookie == socket.Cookie {
		s.holder, s.held = holder, now
		return
	}
	w.log.Info("a socket of a service takes packets", "service", t.Name, "protocol", t.Protocol, "listener", socket.Addr, "pid", holder.pid, "process", host.ProcessName(holder.pid))
	*s = state{cookie: socket.Cookie, socket: socket, holder: holder, held: now, expected: s.expected, since: now}
}

// gone notes that there is no socket, and why if the service runs.
func (w *Watcher) gone(t Target, s *state, err error, now time.Time) {
	if s.cookie != 0 || s.since.IsZero() {
		w.log.Warn("a service has no socket that takes packets", "service", t.Name, "protocol", t.Protocol, "listener", cmp.Or(t.Listener, s.expected))
		s.since = now
	}
	if err != nil && (s.problem == nil || err.Error() != s.problem.Error()) {
		w.log.Error("packets cannot go to a service", "service", t.Name, "protocol", t.Protocol, "error", err)
	}
	s.cookie, s.socket, s.holder, s.problem = 0, host.Socket{}, descriptor{}, err
}
