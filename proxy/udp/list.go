package udp

import (
	"time"

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
			if !l.orders.Do(func() { page = l.listPage(&listing, page, l.now()) }) {
				return nil
			}
		}
		return page
	}
}

// listPage appends the next page of a list, with what the kernel has forwarded by now.
func (l *loop) listPage(listing *flow.Listing[flowSockets], page []route.Conn, now time.Duration) []route.Conn {
	for f := range l.flows.NextFlows(listing) {
		l.countFlow(f, now)
		page = append(page, f.Listed(now, l.fast.generation))
	}
	return page
}

// kill ends the flows that match. Other goroutines call it; the loop looks at a page of them at a time.
func (l *loop) kill(match func(*route.Conn) bool) (ended int) {
	var listing flow.Listing[flowSockets]
	l.orders.Do(func() { listing = l.flows.Listing() })
	for !listing.Done() {
		if !l.orders.Do(func() {
			now := l.now()
			for _, f := range l.flows.NextMatches(&listing, match, now) {
				l.end(f, route.Killed, now)
				ended++
			}
		}) {
			return ended
		}
	}
	return ended
}
