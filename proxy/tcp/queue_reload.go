package tcp

import (
	"anyport/config"
	"anyport/proxy/route"
)

// renewWaiting has the conns that wait go on with their routes as a reload has left them: nothing was
// sent to an origin of the old ones. A reload that can still be undone changes nothing for them: a
// shorter queue_timeout would end conns that the old one goes on with.
func (l *loop) renewWaiting(set *route.Set) {
	if set.OnTrial() {
		return
	}
	for c, p := range l.queued.places {
		r := set.Named(c.route.Name)
		if r == nil || r == c.route || set.Lookup(config.TCP, c.client.Addr(), c.dst) != r {
			continue
		}
		c.release()
		c.route = r
		c.readmit()
		if r.Origins().Unreachable(l.ask(c)) { // the route is transparent now
			l.noOriginLeft(c, route.NoOrigin)
			continue
		}
		if l.queueOf(c) != p.queue { // the route was gone meanwhile, or transparent was turned on or off
			l.rejoinQueue(c)
			l.callFirst(c)
		}
		l.limitWait(c)
	}
}

// rejoinQueue puts a conn in state waiting into the queue of its route, at the place that its wait has
// earned it.
func (l *loop) rejoinQueue(c *conn) {
	l.giveUpPlace(c)
	l.joinQueue(c, c.dialled, mostWaiting)
}

// mostWaiting is no bound: for conns that were admitted to a queue before.
const mostWaiting = 1 << 30
