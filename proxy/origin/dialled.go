package origin

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/health"
)

// Failure is a dial of a conn that failed, or a datagram of a flow that was refused.
type Failure struct {
	Port  uint16 // of the origin
	Class ErrorClass
	Errno unix.Errno
	Began time.Time // the dial
}

// OfOrigin reports whether a failed dial is to eject the origin or its port. Other errors are of this
// host: a source address that is not there, or no port left.
func (f Failure) OfOrigin() bool {
	return f.Class == ErrorRefused || f.Class == ErrorTimeout || f.Class == ErrorUnreachable
}

// Accepted notes that o has accepted a conn on port, and reports whether o or the port was left out.
func (o *Origin) Accepted(port uint16, now time.Time) bool {
	o.counts.accepted.Store(sinceEpoch(now))
	return o.recover(config.TCP, port)
}

// DialFailed notes that a dial of o failed, and reports whether o as a whole is left out from now on.
func (p *Pool) DialFailed(o *Origin, f Failure, now time.Time) (ejected bool, a *Alarm) {
	telling := true
	if f.OfOrigin() {
		o.refusals(config.TCP).total.Add(1)
		ejected, telling = p.eject(o, f, now)
	}
	return ejected, p.Failed(o, config.TCP, f, telling, now)
}

// eject leaves o out, or one of its ports, if enough dials have failed. It reports whether all of o is
// left out from now on, and whether the failure tells something about all of o.
//
// A refused dial says something about its port only, so an origin with many ports is left out for
// that port. Any other failure is of the whole origin, unless the origin has accepted another conn
// since that dial began: then only that port is filtered, and a client that scans an origin's ports
// must not take it away from the others. A port that has been refused several times in a row tells
// something about the origin: clients come back to a port, a scan does not.
func (p *Pool) eject(o *Origin, f Failure, now time.Time) (ejected, telling bool) {
	scope := o.scope(f.Port)
	switch {
	case f.Class == ErrorRefused:
	case o.counts.accepted.Load() >= sinceEpoch(f.Began):
		if scope == whole { // the origin is busy, not dead
			return false, true
		}
	default:
		scope = whole
	}
	if scope != whole {
		e, _ := o.refusals(config.TCP).add(scope, health.DialsToEject, now)
		return false, e.Holds(now)
	}
	p.ejecting.Lock()
	defer p.ejecting.Unlock()
	if out, _ := o.ejected(config.TCP, now); !out && !health.MayEject(p.countEjected(now), p.countServing()) {
		return false, true
	}
	_, first := o.refusals(config.TCP).add(whole, health.DialsToEject, now)
	if first {
		o.counts.changes[health.Ejected].Add(1)
		o.noteDown(now)
	}
	return first, true
}

// epoch is a moment of the monotonic clock, a century ago so that no dial is older: a wall clock that
// is set must not change which of two dials is the later one.
var epoch = time.Now().Add(-100 * 365 * 24 * time.Hour)

func sinceEpoch(t time.Time) int64 { return int64(t.Sub(epoch)) }

// countEjected counts the origins that conns leave out as a whole.
func (p *Pool) countEjected(now time.Time) (n int) {
	for _, o := range p.Origins {
		if out, _ := o.ejected(config.TCP, now); out && o.CurrentWeight() > 0 {
			n++
		}
	}
	return n
}

// countServing counts the origins that may be picked at all.
func (p *Pool) countServing() (n int) {
	for _, o := range p.Origins {
		if o.CurrentWeight() > 0 {
			n++
		}
	}
	return n
}

// AllTried reports whether each origin that may be picked at all is among tried.
func (p *Pool) AllTried(tried []*Origin) bool {
	return !slices.ContainsFunc(p.Origins, func(o *Origin) bool { return o.CurrentWeight() > 0 && !o.isAmong(tried) })
}

// limitEjections takes back ejections of a route that a reload has left with fewer origins.
func (p *Pool) limitEjections(now time.Time) {
	for _, o := range p.Origins {
		if out, _ := o.ejected(config.TCP, now); out && !health.MayEject(p.countEjected(now)-1, p.countServing()) {
			o.refusals(config.TCP).forget(whole)
		}
	}
}
