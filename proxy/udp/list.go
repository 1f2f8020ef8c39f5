package udp

import (
	"slices"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// list begins a list of the loop's flows. It has the loop copy their pointers, and then
// look at a page of them at a time.
func (l *loop) list() func(page []route.Conn) []route.Conn {
	var left []*flow
	l.orders.Do(func() { left = slices.Clone(l.table.byDue) })
	return func(page []route.Conn) []route.Conn {
		for len(left) > 0 && len(page) == 0 {
			of := left[:min(len(left), route.PageSize)]
			left = left[len(of):]
			if !l.orders.Do(func() { page = l.table.list(page, of, l.now()) }) {
				return nil
			}
		}
		return page
	}
}

// list appends those of flows that are still alive.
func (t *table) list(page []route.Conn, flows []*flow, now time.Duration) []route.Conn {
	for _, f := range flows {
		if t.flows[f.key] == f {
			page = append(page, f.listed(now))
		}
	}
	return page
}

func (f *flow) listed(now time.Duration) route.Conn {
	return route.Conn{
		Protocol: config.UDP, Route: f.route.Name, Client: f.client(), Dst: f.dst(), Origin: f.originAddr(),
		Age: now - f.begun, Idle: now - f.last, ToOrigin: f.toOrigin, ToClient: f.toClient,
	}
}
