package services

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"anyport/config"
	"anyport/steering/host"
	"anyport/steering/table"
)

// Target is one socket that a route leads to. Routes may share one.
type Target struct {
	table.Service
	Protocol config.Protocol
	Port     uint16 // over UDP: that of the route, which the socket must be bound to; else 0
}

// Targets are those of the routes of cfg, each once, in the order of the file.
func Targets(cfg *config.Config) (all []Target) {
	for _, r := range cfg.Routes {
		for _, t := range TargetsOf(r) {
			if !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	return all
}

// TargetsOf has one target for each protocol of r.
func TargetsOf(r *config.Route) (all []Target) {
	if r.Action != config.Socket {
		return nil
	}
	for _, p := range r.Protocols {
		t := Target{Service: table.ServiceOf(r), Protocol: p}
		if p == config.UDP {
			t.Port = r.Ports[0].First
		}
		all = append(all, t)
	}
	return all
}

// String names a target in messages.
func (t Target) String() string { return fmt.Sprintf("%v of %s", t.Protocol, t.Service) }

// matches reports whether s is a socket that t may mean.
func (t Target) matches(s host.Socket) bool {
	return s.Protocol == t.Protocol &&
		(t.Port == 0 || s.Addr.Port() == t.Port) &&
		(!t.Listener.IsValid() || s.Addr == t.Listener)
}

// What is wrong with a service that runs. That it does not run, or does not listen yet, is not an error.
var (
	ErrSeveral   = errors.New("has several sockets")
	ErrNamespace = errors.New("runs in another network namespace")
	ErrMPTCP     = errors.New("listens with MPTCP")
	ErrNotShown  = errors.New("belongs to another user")
)

// choose returns the sockets that t means: several only if they are bound to the same address, as those of an
// SO_REUSEPORT group are, of which each stands for all.
func (t Target) choose(sockets []host.Socket) ([]host.Socket, error) {
	var found []host.Socket
	var addresses []string
	for _, s := range sockets {
		if !t.matches(s) {
			continue
		}
		found = append(found, s)
		if addr := fmt.Sprintf("%q", s.Addr); !slices.Contains(addresses, addr) {
			addresses = append(addresses, addr)
		}
	}
	if len(addresses) > 1 {
		slices.Sort(addresses)
		return nil, fmt.Errorf("%s %w for %v: write listener = one of %s", t.Name, ErrSeveral, t.Protocol, strings.Join(addresses, ", "))
	}
	slices.SortFunc(found, func(a, b host.Socket) int { return int(int64(a.Cookie) - int64(b.Cookie)) })
	return found, nil
}

// learned is the address that note_listener waits for: that of the file, or the one that was found.
func learned(t Target, found []host.Socket) netip.AddrPort {
	if t.Listener.IsValid() || len(found) == 0 {
		return t.Listener
	}
	return found[0].Addr
}
