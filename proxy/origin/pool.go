package origin

import (
	"net/netip"
	"slices"

	"anyport/config"
)

// Pool is the origins of one route. It is safe for concurrent use.
type Pool struct {
	Origins []*Origin // in the order of the file

	primary, backup chooser
}

// NewPool makes the pool of r. Origins that stand in old too keep their counts.
func NewPool(r *config.Route, old *Pool) *Pool {
	p := &Pool{}
	var primary, backup []*Origin
	for _, c := range r.Origins {
		o := old.take(c)
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

// take returns old's origin for c, so that its live conns go on counting.
func (p *Pool) take(c config.Origin) *Origin {
	if p != nil {
		for _, o := range p.Origins {
			if o.Origin == c {
				return o
			}
		}
	}
	return &Origin{Origin: c}
}

// Pick chooses the origin for client, leaving out those tried already. Backups
// come when no other is left; nil says that nothing is.
func (p *Pool) Pick(client netip.Addr, tried []*Origin) *Origin {
	open := func(o *Origin) bool { return !slices.Contains(tried, o) }
	if o := p.primary.pick(client, open); o != nil {
		return o
	}
	return p.backup.pick(client, open)
}
