package origin

import (
	"net/netip"
	"slices"
	"time"

	"anyport/config"
)

// Pool is the origins of one route. It is safe for concurrent use.
type Pool struct {
	Origins []*Origin // in the order of the file

	primary, backup chooser // backup is asked if primary has no origin left
}

// NewPool makes the pool of r. An origin that is also in old keeps its counts; old may be nil.
func NewPool(r *config.Route, old *Pool) *Pool {
	p := &Pool{}
	var primary, backup []*Origin
	for _, c := range r.Origins {
		o := &Origin{Origin: c, counts: old.countsOf(c.Text)}
		p.Origins = append(p.Origins, o)
		switch {
		case c.Weight == 0: // drains
		case c.Backup:
			backup = append(backup, o)
		default:
			primary = append(primary, o)
		}
	}
	p.primary, p.backup = newChooser(r.Balance, primary), newChooser(r.Balance, backup)
	return p
}

// countsOf returns the counts of the origin that the file writes as text, so that its live conns stay
// counted, or new ones if p does not have it.
func (p *Pool) countsOf(text string) *counts {
	if p != nil {
		for _, o := range p.Origins {
			if o.Text == text {
				return o.counts
			}
		}
	}
	return &counts{}
}

// At returns the origin whose address is addr for clients that ask for port. If a reload has removed
// it, At returns an origin that is not in the pool, with counts of its own.
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

// By returns the origin with an address, or nil.
func (p *Pool) By(addr netip.AddrPort) *Origin {
	for _, o := range p.Origins {
		if o.Addr == addr.Addr() && (o.Ports.First == 0 || o.Ports.First <= addr.Port() && addr.Port() <= o.Ports.Last) {
			return o
		}
	}
	return nil
}

// Pick chooses the origin for client among those that were not tried yet and are not full, backups
// last. It returns nil if none is left.
func (p *Pool) Pick(client netip.Addr, tried []*Origin) *Origin {
	return p.choose(client, func(o *Origin) bool { return !slices.Contains(tried, o) && !o.Full() })
}

// HasFull reports whether an origin that was not tried could have been picked if it were not full.
func (p *Pool) HasFull(tried []*Origin) bool {
	return slices.ContainsFunc(p.Origins, func(o *Origin) bool {
		return o.Weight > 0 && o.Full() && !slices.Contains(tried, o)
	})
}

// PickWilling is Pick without the origins that refuse the port which dst maps to. If all refuse, it is
// Pick: asking one in vain is better than asking none.
func (p *Pool) PickWilling(client netip.Addr, dst uint16, tried []*Origin, now time.Time) *Origin {
	if !p.HasWilling(dst, tried, now) {
		return p.Pick(client, tried)
	}
	return p.choose(client, func(o *Origin) bool { return !slices.Contains(tried, o) && !o.Full() && o.Willing(o.Port(dst), now) })
}

// HasWilling reports whether an origin that was not tried may take the port which dst maps to.
func (p *Pool) HasWilling(dst uint16, tried []*Origin, now time.Time) bool {
	return slices.ContainsFunc(p.Origins, func(o *Origin) bool {
		return o.Weight > 0 && !slices.Contains(tried, o) && !o.Full() && o.Willing(o.Port(dst), now)
	})
}

// choose asks the primary origins, then the backups.
func (p *Pool) choose(client netip.Addr, open func(*Origin) bool) *Origin {
	if o := p.primary.pick(client, open); o != nil {
		return o
	}
	return p.backup.pick(client, open)
}
