package proxy

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"anyport/proxy/quota"
	"anyport/proxy/tcp"
	"anyport/proxy/udp"
)

// Serve carries the traffic of the sockets, which the caller closes afterwards. When ctx is done it
// takes nothing new, and returns nil once the last conn and flow has ended or its drain timeout has
// cut it. It must be called once.
func (s *Server) Serve(ctx context.Context, tcpSockets, udpSockets []int) error {
	loops, ctx := errgroup.WithContext(ctx)
	s.opening.Store(2)
	defer s.followNames(ctx)()
	loops.Go(func() error { return s.serveTCP(ctx, tcpSockets) })
	loops.Go(func() error { return s.serveUDP(ctx, udpSockets) })
	checking, stopChecks := context.WithCancel(ctx)
	var checks sync.WaitGroup // ended by stopChecks
	checks.Go(func() { s.checkOrigins(checking) })
	checks.Go(func() { s.keepLooking(checking) })
	err := loops.Wait()
	stopChecks()
	checks.Wait()
	return err
}

// serveTCP runs the loops of conns.
func (s *Server) serveTCP(ctx context.Context, listeners []int) error {
	defer close(s.moves.ended)
	var files []*quota.Quota
	if s.shares != nil {
		files = s.shares.TCP
	}
	return tcp.Serve(ctx, tcp.Options{
		Listeners: listeners,
		Loops:     s.tcpLoops,
		Routes:    s.routes,
		Mirror:    s.opt.Mirror,
		Pulse:     s.pulse,
		Log:       s.opt.Log,
		Opened:    s.open,
		Handovers: s.handovers.conns,
		Moves:     s.moves.away,
		Arrivals:  s.moves.here,
		Files:     files,
		Expected:  s.expected,
	})
}

// serveUDP runs the loops of flows.
func (s *Server) serveUDP(ctx context.Context, listeners []int) error {
	return udp.Serve(ctx, udp.Options{
		Listeners:  listeners,
		FirstShard: s.tcpLoops,
		Routes:     s.routes,
		MaxFlows:   s.opt.MaxFlows,
		Files:      s.shares,
		Raw:        s.opt.Raw,
		Mirror:     s.opt.Mirror,
		Knock:      s.opt.Knock,
		Fast:       s.fast,
		FastLeft:   s.fastLeft,
		Fleet:      s.fleet,
		Pulse:      s.pulse,
		Log:        s.opt.Log,
		Opened:     s.open,
		Flows:      s.flows,
		Handovers:  s.handovers.flows,
	})
}

// followNames keeps the addresses of DNS names up to date until stop, on goroutines that end then.
func (s *Server) followNames(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var seen atomic.Uint64
	seen.Store(s.routes.Swaps())
	unwatch := s.routes.Watch(func() {
		// An origin that goes down must not drop the names that a reload has just had resolved.
		if n := s.routes.Swaps(); seen.Swap(n) != n {
			s.names.keepServed(s.routes.Set())
		}
	})
	var resolving errgroup.Group
	resolving.Go(func() error { return s.names.resolver.Run(ctx) })
	return func() {
		unwatch()
		cancel()
		_ = resolving.Wait() // Run has no error
	}
}

// open is called by each kind of loop once it has its files.
func (s *Server) open() {
	if s.opening.Add(-1) == 0 {
		close(s.opened)
	}
}

// Opened is closed once Serve has opened all files that its loops need for themselves.
func (s *Server) Opened() <-chan struct{} { return s.opened }
