package resolve

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Status is what a Resolver does at one moment.
type Status struct {
	Servers []string // of resolv.conf, in the order in which they are asked
	Search  []string
	Error   string // why a file of the system could not be read again
	Names   []NameStatus
}

// NameStatus is what is known of one name.
type NameStatus struct {
	Name      string
	Addresses []string // with the port, if the name is of SRV records
	TTL       time.Duration
	Server    string // that answered last, or /etc/hosts
	Error     string // why the last try failed; the addresses are then the last good ones
}

// Status returns the names in order.
func (r *Resolver) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.opt.now()
	s := Status{Servers: slices.Clone(r.files.settings.servers), Search: slices.Clone(r.files.settings.search)}
	if r.files.err != nil {
		s.Error = r.files.err.Error()
	}
	for n := range r.names {
		a := r.answers[n]
		status := NameStatus{Name: n.String(), Addresses: texts(a.Targets), Server: a.Server, TTL: max(0, a.Until.Sub(now))}
		if a.Err != nil {
			status.Error = a.Err.Error()
		}
		s.Names = append(s.Names, status)
	}
	slices.SortFunc(s.Names, func(a, b NameStatus) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// texts lists the addresses of targets.
func texts(targets []Target) []string {
	all := []string{}
	for _, t := range targets {
		for _, addr := range t.Addrs {
			all = append(all, addressText(addr, t.Port))
		}
	}
	return all
}

// addressText is an address, with a port unless that is 0.
func addressText(addr netip.Addr, port uint16) string {
	switch {
	case port == 0:
		return addr.String()
	case addr.Is4():
		return addr.String() + ":" + strconv.Itoa(int(port))
	}
	return "[" + addr.String() + "]:" + strconv.Itoa(int(port))
}
