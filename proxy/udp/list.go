package udp

import (
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// list begins a list of the loop's flows, and returns what appends the next page of it. Other
// goroutines call both: the loop copies the pointers of all flows at first, and then reads a page of
// them at a time, so that a long list does not delay datagrams.
func (l *loop) list() func(page []route.Conn) []route.Conn {
	var listing flow.Listing[flowSockets]
	l.orders.Do(func() { listing = l.flows.Listing() })
	return func(page []route.Conn) []route.Conn {
		for !listing.Done() && len(page) == 0 {
			if !l.orders.Do(func() { page = l.flows.NextPage(&listing, page, l.now()) }) {
				return nil
			}
		}
		return page
	}
}
