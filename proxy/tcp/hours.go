package tcp

import "anyport/proxy/route"

// closeInactive ends the conns of routes whose time is over, on routes with on_inactive = "close".
func (l *loop) closeInactive() {
	overs := l.routes.Overs()
	if overs == l.overs {
		return
	}
	l.overs = overs
	for _, c := range l.slots {
		if c != nil && !c.moving && c.route.EndsAll() {
			l.endLater(c, route.HoursOver)
		}
	}
}
