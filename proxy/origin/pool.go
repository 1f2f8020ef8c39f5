package origin

import (
	"net/netip"
	"sync"
	"time"

	"anyport/config"
)

// Pool is the origins of one route. It is safe for concurrent use.
type Pool struct {
	Origins []*Origin // in the order of the file

	route           *config.Route
	primary, backup chooser
	ejecting        sync.Mutex // held to eject one of them
}

// NewPool makes the pool of r. Origins that are in old too keep their counts and their health.
func NewPool(r *config.Route, old *Pool) *Pool {
	p := &Pool{route: r}
	var primary, backup []*Origin
	for _, c := range r.Origins {
		o := &Origin{Origin: c, counts: old.countsOf(c.Text)}
		o.SetWeight(c.Weight)
		p.Origins = append(p.Origins, o)
		if c.Backup {
			backup = append(backup, o)
		} else {
			primary = append(primary, o)
		}
	}
	p.primary, p.backup = newChooser(r.Balance, primary), newChooser(r.Balance, backup)
	p.limitEjections(time.Now())
	return p
}

// countsOf returns the counts of the origin that the file calls text, so that its
// live conns go on counting; new ones where p does not have it.
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
