package origin

import (
	"net/netip"
	"slices"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// Ask is what a new conn or flow needs an origin for.
type Ask struct {
	Client   netip.Addr
	Protocol config.Protocol
	Port     uint16    // of dst
	Tried    []*Origin // not to be picked again
	Now      time.Time
	AsClient bool // the origin is dialled from the client's own address
}

// Pick chooses an origin; nil says that there is none. Of those that were not tried, these come first
// that are up and take the port; a backup among them only if no other is left. Then:
//
//   - If none is up, on_all_down decides: try them all, or pick none.
//   - If fewer than panic_threshold percent are up, all are picked from, as if they were up.
//   - If those that are up were all tried, the ejected ones follow: it costs little to ask one in vain.
//     Those whose checks have failed do not, since an operator may mean it.
func (p *Pool) Pick(a Ask) *Origin {
	if len(p.Origins) == 1 && a.prefers(p.Origins[0]) { // the usual case, and it allocates nothing
		return p.Origins[0]
	}
	if p.refusesAll() {
		return nil
	}
	if o := p.untriedWay(a.Tried); o != nil && a.prefers(o) {
		return o
	}
	if p.TriesAll(a) {
		if o := p.choose(a, func(o *Origin) bool { return a.permits(o) && o.takes(a) }); o != nil {
			return o
		}
		return p.choose(a, a.permits)
	}
	if o := p.choose(a, a.prefers); o != nil {
		return o
	}
	return p.choose(a, a.findsUp)
}

// TriesAll reports whether so few origins are up that Pick chooses among all of them.
func (p *Pool) TriesAll(a Ask) bool {
	up, serving := p.countUp(a)
	return up == 0 || health.Panics(up, serving, p.route.PanicThreshold)
}

// Prefers reports whether an origin that was not tried is up and takes the port.
func (p *Pool) Prefers(a Ask) bool { return slices.ContainsFunc(p.Origins, a.prefers) }

// AllDown reports whether no origin is up by the checks and by the operator's orders.
func (p *Pool) AllDown() bool {
	return !slices.ContainsFunc(p.Origins, func(o *Origin) bool { return o.Standing() == health.Up })
}

// refusesAll reports whether no origin is up, and the route has none tried then.
func (p *Pool) refusesAll() bool { return p.route.OnAllDown == config.RefuseAll && p.AllDown() }

// countUp counts the origins that are up, and those that the operator wants to serve.
func (p *Pool) countUp(a Ask) (up, serving int) {
	for _, o := range p.Origins {
		switch v := o.Verdict(a.Protocol, a.Now); {
		case !a.reaches(o):
		case v == health.Up:
			up++
			serving++
		case !v.Excluded():
			serving++
		}
	}
	return up, serving
}

// prefers reports whether o was not tried, is not full, is up, and takes the port.
func (a Ask) prefers(o *Origin) bool { return a.findsUp(o) && o.takes(a) }

// findsUp is prefers without the port, and without what dials have met.
func (a Ask) findsUp(o *Origin) bool { return o.Standing() == health.Up && a.isFree(o) }

// permits reports whether o was not tried, is not full, and nobody has ordered that it gets nothing new.
func (a Ask) permits(o *Origin) bool { return !o.Standing().Excluded() && a.isFree(o) }

// isFree reports whether o was not tried, is not full, and can be dialled for the client.
func (a Ask) isFree(o *Origin) bool { return a.reaches(o) && !o.Full() && !o.isAmong(a.Tried) }

// reaches reports whether o can be dialled at all. From the address of a client it cannot if it is of
// the other family, or if it is the client itself: it would take the packets for forged ones.
func (a Ask) reaches(o *Origin) bool {
	return !a.AsClient || o.Addr.Is4() == a.Client.Is4() && o.Addr != a.Client
}

// Unreachable reports whether none of the origins can be dialled from the client's address, whatever
// their states are.
func (p *Pool) Unreachable(a Ask) bool {
	return a.AsClient && len(p.Origins) > 0 && !slices.ContainsFunc(p.Origins, a.reaches)
}

// takes reports whether o is left out neither as a whole nor for the port.
func (o *Origin) takes(a Ask) bool {
	refuses, _ := o.refuses(a.Protocol, o.Port(a.Port), a.Now)
	return !refuses
}

// choose picks among those of open, backups last.
func (p *Pool) choose(a Ask, open func(*Origin) bool) *Origin {
	share := func(o *Origin) float64 {
		if !open(o) {
			return 0
		}
		return o.share(p.route.SlowStart, a.Protocol, a.Now)
	}
	either := func(o *Origin) float64 {
		if o.other == nil {
			return share(o)
		}
		return max(share(o), share(o.other))
	}
	o := p.primary.pick(a.Client, either)
	if o == nil {
		o = p.backup.pick(a.Client, either)
	}
	return o.betterWay(open, a.Now)
}
