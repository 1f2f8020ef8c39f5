package origin

import (
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

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
	o.refusals(config.UDP).total.Add(1)
	e, first := o.refusals(config.UDP).add(scope, 1, now)
	if first && scope == whole {
		o.counts.changes[health.Ejected].Add(1)
		o.noteDown(now)
	}
	return Refused{scope == whole, first, e.Lasts()}
}

// Answer notes that o has answered from port, and reports whether it was known to refuse.
func (o *Origin) Answer(port uint16) bool { return o.recover(config.UDP, port) }

// recover takes back what is known against o over a protocol, as a whole and for a port, and reports
// whether o or the port was left out.
func (o *Origin) recover(p config.Protocol, port uint16) (was bool) {
	rs := o.refusals(p)
	if rs.known.Load() == 0 {
		return false
	}
	all, _ := rs.forget(whole)
	one, _ := rs.forget(o.scope(port))
	if all.Wait > 0 {
		o.counts.changes[health.Up].Add(1)
		o.change(func(s health.State) health.State { return s.Returned(all.Until) })
	}
	return all.Wait > 0 || one.Wait > 0
}

// scope is the port that a refusal of port is noted under: whole if o has no other port.
func (o *Origin) scope(port uint16) uint16 {
	if o.Ports.First != 0 && o.Ports.Width() == 1 {
		return whole
	}
	return port
}

// Refuses reports whether o is left out for flows to port, and whether it was tried again since the
// first refusal, and has refused again.
func (o *Origin) Refuses(port uint16, now time.Time) (refuses, lasts bool) {
	return o.refuses(config.UDP, port, now)
}

func (o *Origin) refuses(p config.Protocol, port uint16, now time.Time) (refuses, lasts bool) {
	rs := o.refusals(p)
	if rs.known.Load() == 0 {
		return false, false
	}
	all, _ := rs.of(whole)
	one, _ := rs.of(o.scope(port))
	return all.Holds(now) || one.Holds(now), all.Holds(now) && all.Lasts() || one.Holds(now) && one.Lasts()
}

// Willing reports whether o is not left out for flows to port.
func (o *Origin) Willing(port uint16, now time.Time) bool {
	refuses, _ := o.Refuses(port, now)
	return !refuses
}

// RefusedSince is since when all of o is left out for conns or flows; not ok if it is not left out.
func (o *Origin) RefusedSince(p config.Protocol, now time.Time) (since time.Time, ok bool) {
	e, _ := o.refusals(p).of(whole)
	return e.Since, e.Holds(now)
}

// RefusedPorts is the number of ports of o that are left out, not counting whole.
func (o *Origin) RefusedPorts(p config.Protocol, now time.Time) int { return o.refusals(p).held(now) }

// Refusals counts the failures that were noted: of dials (TCP), and ICMP errors (UDP).
func (o *Origin) Refusals(p config.Protocol) uint64 { return o.refusals(p).total.Load() }
