package origin

import "time"

// Refused is the result of [Origin.Refuse], for the log.
type Refused struct {
	Whole bool // all ports of the origin are left out
	First bool // the origin did not refuse before
	Lasts bool // the origin was tried again since the first, and refused again
}

// Refuse notes that o has refused a datagram to port: the port is closed, or, with unreachable, the
// host cannot be reached. A closed port says nothing about other ports, so an origin with many ports
// is left out only for that one.
func (o *Origin) Refuse(port uint16, unreachable bool, now time.Time) Refused {
	scope := o.scope(port)
	if unreachable {
		scope = whole
	}
	r, first := o.counts.refusals.add(scope, now)
	return Refused{scope == whole, first, r.lasts()}
}

// Answer notes that o has answered from port, and reports whether it was left out or on probation.
func (o *Origin) Answer(port uint16) bool {
	rs := &o.counts.refusals
	if rs.known.Load() == 0 {
		return false
	}
	all, one := rs.forget(whole), rs.forget(o.scope(port))
	return all || one
}

// scope is the port that a refusal of port is noted under: whole if o has no other port.
func (o *Origin) scope(port uint16) uint16 {
	if o.Ports.First != 0 && o.Ports.Width() == 1 {
		return whole
	}
	return port
}

// Refuses reports whether o is left out for port, and whether it was tried again since the first
// refusal, and has refused again.
func (o *Origin) Refuses(port uint16, now time.Time) (refuses, lasts bool) {
	rs := &o.counts.refusals
	if rs.known.Load() == 0 {
		return false, false
	}
	all, _ := rs.of(whole)
	one, _ := rs.of(o.scope(port))
	return all.holds(now) || one.holds(now), all.holds(now) && all.lasts() || one.holds(now) && one.lasts()
}

// Willing reports whether o is not left out for port.
func (o *Origin) Willing(port uint16, now time.Time) bool {
	refuses, _ := o.Refuses(port, now)
	return !refuses
}

// RefusedSince is since when all of o has refused; not ok if it is not left out.
func (o *Origin) RefusedSince(now time.Time) (since time.Time, ok bool) {
	r, _ := o.counts.refusals.of(whole)
	return r.since, r.holds(now)
}

// RefusedPorts is the number of ports of o that are left out, not counting whole.
func (o *Origin) RefusedPorts(now time.Time) int { return o.counts.refusals.held(now) }

// Refusals is the number of calls of Refuse.
func (o *Origin) Refusals() uint64 { return o.counts.refusals.total.Load() }
