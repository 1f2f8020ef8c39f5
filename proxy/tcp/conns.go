package tcp

import (
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// listConns begins a list of the loop's conns, by their slots.
func (l *loop) listConns() func(page []route.Conn) []route.Conn {
	slot := 0
	return func(page []route.Conn) []route.Conn {
		if !l.mailbox.Do(func() { page, slot = l.pageFrom(page, slot) }) {
			return nil
		}
		return page
	}
}

// pageFrom appends a page of the conns from a slot on, and returns the slot after the last.
func (l *loop) pageFrom(page []route.Conn, from int) ([]route.Conn, int) {
	for ; from < len(l.slots) && len(page) < route.PageSize; from++ {
		if c := l.slots[from]; c != nil {
			page = append(page, c.listed(l.now))
		}
	}
	return page, from
}

func (c *conn) listed(now time.Duration) route.Conn {
	listed := route.Conn{
		Protocol: config.TCP, Route: c.route.Name, Client: c.client, Dst: c.dst,
		Age: now - c.began, Idle: now - c.active,
		ToOrigin: c.ways[route.ToOrigin].bytes, ToClient: c.ways[route.ToClient].bytes,
	}
	if c.state == relaying {
		listed.Origin = c.origin.At(c.dst.Port())
	}
	return listed
}
