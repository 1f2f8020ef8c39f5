package services

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/host"
)

// Found has the address of the socket that each target leads to, as far as there is one. Several sockets of one
// address are one: the kernel lets only those of an SO_REUSEPORT group share it.
type Found map[Target]netip.AddrPort

// Check looks for the sockets of the services of cfg once, changes nothing, and returns what is wrong with those that
// run. One that does not run is not an error: it is reached as soon as it does. Nor is one that this process may not
// look at, which [Watcher.Add] refuses if nobody else has put its socket into the map. It reads the network namespace
// of the calling thread.
func Check(cfg *config.Config) (Found, error) {
	var problems config.Problems
	found := Found{}
	for _, r := range cfg.Routes {
		for _, t := range TargetsOf(r) {
			socket, holder, err := t.lookUp()
			if err == nil && t.Protocol == config.UDP && len(r.Origins) > 0 {
				err = comesBack(r, t, socket.Addr, holder)
			}
			if err != nil && !errors.Is(err, ErrNotShown) {
				problems = append(problems, config.Problem{File: cfg.Path, Line: r.Line, Route: r.Name, Key: "service", Text: err.Error()})
				break
			}
			found[t] = socket.Addr
		}
	}
	if len(problems) == 0 {
		return found, nil
	}
	return found, cfg.Locate(problems)
}

// Owns reports whether a route leads to l itself, so that it takes no port from another process. A route without
// listener leads to the sockets of its service only, and not to whatever has the port.
func (f Found) Owns(r *config.Route, l host.Listener) bool {
	for _, t := range TargetsOf(r) {
		if t.Protocol == l.Protocol && f[t].IsValid() && f[t] == l.Addr {
			return true
		}
	}
	return false
}

// lookUp returns the socket that t means, without an address if there is none, and who has it open.
func (t Target) lookUp() (socket host.Socket, holder descriptor, err error) {
	dir, err := cgroupOf(t.Name)
	if err != nil {
		return socket, holder, err
	}
	pids, err := processesOf(t.Name, dir)
	if err != nil {
		return socket, holder, err
	}
	o, err := find(t.Name, pids)
	if err != nil {
		return socket, holder, err
	}
	found, err := t.choose(o.sockets)
	if err == nil {
		found, err = o.steerable(t.Name, found)
	}
	if err == nil && len(found) > 0 {
		return found[0], o.holders[found[0].Inode], nil
	}
	if err == nil && t.Protocol == config.TCP {
		err = o.mptcp(t.Name)
	}
	return socket, holder, err
}

// comesBack says why a service could not bind its UDP socket again once origins have taken over: anyport then answers
// from sockets that are bound to each dst. bind(2) allows both if both have SO_REUSEADDR, as those of anyport have.
// TCP servers set it anyway.
func comesBack(r *config.Route, t Target, addr netip.AddrPort, holder descriptor) error {
	served := slices.ContainsFunc(r.Prefixes, func(p netip.Prefix) bool { return p.Contains(addr.Addr()) })
	if !addr.IsValid() || !addr.Addr().IsUnspecified() && !served {
		return nil
	}
	if reuse, err := holder.option(unix.SO_REUSEADDR); err != nil || reuse == 1 {
		return nil
	}
	return fmt.Errorf("the udp socket %s of %s has no SO_REUSEADDR, so after a restart it could not bind its port again while anyport answers there for origins: bind it to an address that is not served, or set SO_REUSEADDR, or write a route for udp without origins", addr, t.Name)
}
