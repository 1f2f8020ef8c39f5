package route

import (
	"math"
	"net/netip"
	"sync"

	"anyport/config"
	"anyport/proxy/client"
)

// acquire counts one more conn or flow, unless a limit of c is reached.
func (s *Stats) acquire(c *config.Route, p config.Protocol, from netip.Addr) Verdict {
	v := s.acquirePlace(c, p)
	if v == Admitted {
		if v = s.acquireClient(c, from); v != Admitted {
			s.releasePlace(p)
		}
	}
	return v
}

// acquireClient is the part of acquire that is the client's.
func (s *Stats) acquireClient(c *config.Route, from netip.Addr) Verdict {
	if c.MaxConnsPerClient > 0 && !s.perClient.acquire(client.Of(from), c.MaxConnsPerClient) {
		return OverMaxPerClient
	}
	return Admitted
}

// acquirePlace is the part of acquire that is the route's. It adds first and takes back after: so no
// two loops can both take the last place.
func (s *Stats) acquirePlace(c *config.Route, p config.Protocol) Verdict {
	flows := s.active[index(p)].Add(1)
	all := s.active[0].Load() + s.active[1].Load()
	switch {
	case over(all, c.MaxConns):
		s.active[index(p)].Add(-1)
		return OverMaxConns
	case p == config.UDP && over(flows, c.MaxFlows):
		s.active[index(p)].Add(-1)
		return OverMaxFlows
	}
	s.raisePeak(all)
	return Admitted
}

// readmit is acquire without the limits.
func (s *Stats) readmit(c *config.Route, p config.Protocol, from netip.Addr) {
	if c.MaxConnsPerClient > 0 {
		s.perClient.acquire(client.Of(from), math.MaxInt)
	}
	s.readmitPlace(p)
}

func (s *Stats) readmitPlace(p config.Protocol) {
	s.active[index(p)].Add(1)
	s.raisePeak(s.active[0].Load() + s.active[1].Load())
}

// raisePeak notes that n conns and flows are live.
func (s *Stats) raisePeak(n int64) {
	for peak := s.peak.Load(); n > peak && !s.peak.CompareAndSwap(peak, n); peak = s.peak.Load() {
	}
}

// Peak is the most conns and flows that were live at once in this process.
func (s *Stats) Peak() int64 { return s.peak.Load() }

func over(n int64, most int) bool { return most > 0 && n > int64(most) }

// release undoes acquire and readmit. c must be the route that was given to them.
func (s *Stats) release(c *config.Route, p config.Protocol, from netip.Addr) {
	s.releaseClient(c, from)
	s.releasePlace(p)
}

// releaseClient undoes acquireClient.
func (s *Stats) releaseClient(c *config.Route, from netip.Addr) {
	if c.MaxConnsPerClient > 0 {
		s.perClient.release(client.Of(from))
	}
}

func (s *Stats) releasePlace(p config.Protocol) { s.active[index(p)].Add(-1) }

// connsByClient counts conns and flows for each client, as [client.Of] has it. It holds no client
// that has none, so the limits of the route bound it.
type connsByClient struct {
	mu   sync.Mutex
	held map[netip.Addr]int
}

func (c *connsByClient) acquire(client netip.Addr, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[client] >= most {
		return false
	}
	if c.held == nil {
		c.held = map[netip.Addr]int{}
	}
	c.held[client]++
	return true
}

func (c *connsByClient) release(client netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[client]--; c.held[client] <= 0 {
		delete(c.held, client)
	}
}
