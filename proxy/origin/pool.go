package origin

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// Pool is the origins of one route. It is safe for concurrent use.
type Pool struct {
	Origins []*Origin // in the order of the file

	route           *config.Route
	queues          *queues   // the same ones as before a reload
	alarms          *[2]alarm // over TCP and over UDP; the same ones as before a reload
	primary, backup chooser
	ejecting        sync.Mutex // held to eject one of them
}

// NewPool makes the pool of r, whose origins all have addresses. An origin that is also in old keeps its
// counts and its health; old may be nil.
func NewPool(r *config.Route, old *Pool) *Pool { return NewPoolOf(r, Literals(r.Origins), old) }

// NewPoolOf makes a pool of these members, in the place of r's own origins. An origin that is also in old
// keeps its counts and its health. An origin of old that its name no longer has stays until its last
// conn has ended, and for as long as an operator forces a state on it. With an origin that is not in
// old, but in one of others, the pool shares counts and health: pools of two generations in service.
// They share their queues, too, since each may wait for what the other's conns hold, and their alarms.
func NewPoolOf(r *config.Route, members []Member, old *Pool, others ...*Pool) *Pool {
	p := &Pool{route: r, queues: newQueues(), alarms: &[2]alarm{}}
	known := append([]*Pool{old}, others...)
	if i := slices.IndexFunc(known, func(k *Pool) bool { return k != nil }); i >= 0 {
		p.queues, p.alarms = known[i].queues, known[i].alarms
	}
	var primary, backup []*Origin
	for _, m := range members {
		o := p.add(m, known)
		if o.Backup {
			backup = append(backup, o)
		} else {
			primary = append(primary, o)
		}
	}
	p.keepVanished(r, old)
	p.primary, p.backup = newChooser(r.Balance, primary), newChooser(r.Balance, backup)
	p.limitEjections(time.Now())
	return p
}

// countsOf returns the counts of the origin that the file calls text, so that its
// live conns go on counting; new ones where none of the pools has it. A pool may be nil.
func countsOf(text string, pools []*Pool) *counts {
	for _, p := range pools {
		if p == nil {
			continue
		}
		for _, o := range p.Origins {
			if o.Text == text {
				return o.counts
			}
		}
	}
	return &counts{}
}

// At returns the origin whose address is addr for clients that ask for port. It may
// have left the file, as one that a flow began with can.
func (p *Pool) At(addr netip.AddrPort, port uint16) *Origin {
	for _, o := range p.Origins {
		if o.At(port) == addr {
			return o
		}
	}
	return &Origin{
		Origin: config.Origin{Text: addr.String(), Addr: addr.Addr(), Ports: config.PortRange{First: addr.Port(), Last: addr.Port()}},
		counts: &counts{},
	}
}

// By returns the origin that has an address; nil where there is none.
func (p *Pool) By(addr netip.AddrPort) *Origin {
	for _, o := range p.Origins {
		if o.Addr == addr.Addr() && (o.Ports.First == 0 || o.Ports.First <= addr.Port() && addr.Port() <= o.Ports.Last) {
			return o
		}
	}
	return nil
}

// Queue is the conns that wait for the same origins as a.
func (p *Pool) Queue(a Ask) *Queue {
	if a.AsClient && !a.Client.Is4() {
		return &p.queues.both[1]
	}
	return &p.queues.both[0]
}

// Waiting is the number of conns that wait for one of the origins.
func (p *Pool) Waiting() int { return int(p.queues.waiting.Load()) }

// WaitingPeak is the most of them that waited at once in this process.
func (p *Pool) WaitingPeak() int { return int(p.queues.peak.Load()) }

// CallWaiting calls the first conn of each queue: there may be a place for it.
func (p *Pool) CallWaiting() { p.queues.free() }

// HasRoom reports whether Pick would choose an origin.
func (p *Pool) HasRoom(a Ask) bool {
	return p.has(a, func(o *Origin) bool { return !o.Full() })
}

// HasFull reports whether an origin that was not tried could have been picked if it were not full.
func (p *Pool) HasFull(a Ask) bool { return p.has(a, (*Origin).Full) }

// HasCandidate reports whether HasRoom or HasFull is true. A place that other loops free and take
// meanwhile does not matter to it.
func (p *Pool) HasCandidate(a Ask) bool {
	return p.has(a, func(*Origin) bool { return true })
}

// has reports whether Pick could choose one of the origins that want is true for, if none were full.
func (p *Pool) has(a Ask, want func(*Origin) bool) bool {
	if p.refusesAll() {
		return false
	}
	all := p.TriesAll(a)
	return slices.ContainsFunc(p.Origins, func(o *Origin) bool {
		standing := o.Standing()
		open := standing == health.Up || all && !standing.Excluded()
		return open && a.reaches(o) && !o.isAmong(a.Tried) && want(o)
	})
}
