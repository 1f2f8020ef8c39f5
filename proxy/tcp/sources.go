package tcp

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// Each source address has every port of net.ipv4.ip_local_port_range once for each address and port of
// an origin. connect(2) finds out that none is left only after it has looked at all of them, so a
// source that was full is asked last for a while.

// fullSources remembers which sources had no port left for an address of an origin, and until when they
// are asked last. It belongs to one loop.
type fullSources map[sourceToOrigin]time.Duration

// sourceToOrigin is what ports are counted for.
type sourceToOrigin struct {
	source netip.Addr
	to     netip.AddrPort
}

const (
	fullFor  = time.Second
	fullMost = 1024 // entries; at this bound all are forgotten
)

// note notes that a source is full.
func (f fullSources) note(s sourceToOrigin, now time.Duration) {
	if len(f) >= fullMost {
		clear(f)
	}
	f[s] = now + fullFor
}

// has reports whether a source was full a moment ago.
func (f fullSources) has(s sourceToOrigin, now time.Duration) bool {
	return len(f) > 0 && f[s] > now
}

// sourcesFor returns the sources of the origin's family, beginning with the next in turn, and those that
// were full a moment ago last. Without any it returns the zero Addr: the kernel chooses.
func (l *loop) sourcesFor(sources []netip.Addr, to netip.AddrPort) []netip.Addr {
	if len(sources) == 0 {
		return kernelsChoice
	}
	l.dialCount++
	inTurn, full := make([]netip.Addr, 0, len(sources)), 0
	for i := range sources {
		s := sources[(l.dialCount+i)%len(sources)]
		switch {
		case s.Is4() != to.Addr().Is4():
		case l.fullSources.has(sourceToOrigin{s, to}, l.now):
			inTurn, full = append(inTurn, s), full+1
		default:
			inTurn = slices.Insert(inTurn, len(inTurn)-full, s)
		}
	}
	if len(inTurn) == 0 {
		return kernelsChoice
	}
	return inTurn
}

var kernelsChoice = []netip.Addr{{}}

// connectFromSources begins to dial from one of the route's sources, from a port that the kernel
// chooses. If no source has one, it tries ports by number: see socket.Ports.
func (l *loop) connectFromSources(c *conn, to netip.AddrPort) (err error) {
	inTurn := l.sourcesFor(c.route.Source, to)
	for _, s := range inTurn {
		if err = l.connectFrom(c, to, netip.AddrPortFrom(s, 0)); !unavailable(err) {
			return c.dialledFrom(s, err)
		}
		if s.IsValid() && errors.Is(err, call.ErrNoPort) {
			l.fullSources.note(sourceToOrigin{s, to}, l.now)
		}
	}
	for _, s := range inTurn {
		if err = l.connectByNumber(c, to, s); !unavailable(err) {
			return c.dialledFrom(s, err)
		}
	}
	return err
}

// dialledFrom counts the source of a conn, if the dial has begun.
func (c *conn) dialledFrom(source netip.Addr, err error) error {
	if err == nil {
		c.source = c.origin.BeginFrom(source)
	}
	return err
}

// unavailable reports whether another source may have what this one has not: a port, or, if its address
// was removed from the host, the address.
func unavailable(err error) bool {
	return errors.Is(err, call.ErrNoPort) || errors.Is(err, unix.EADDRNOTAVAIL)
}
