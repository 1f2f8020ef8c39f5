package udp

import (
	"context"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"anyport/proxy/datagram"
	"anyport/proxy/fdbudget"
	"anyport/proxy/mailbox"
	"anyport/proxy/route"
)

// Options say what Serve serves.
type Options struct {
	// Listeners are non-blocking UDP sockets of either family with
	// IP_RECVORIGDSTADDR and IPV6_RECVORIGDSTADDR set. They remain the caller's.
	Listeners  []int
	FirstShard int // listener i counts in shard FirstShard+i
	Routes     *route.Live
	MaxFlows   int                // of all listeners together; 0 = as many as the default says; fewer have sockets of their own: see MaxSockets
	Files      *fdbudget.Shares   // how many files the loops may open; nil: no bound
	Raw        *datagram.Raw      // answers where no socket can be bound; nil: Serve opens its own
	Record     func(route.Record) // called once a flow has ended or was refused; must not block; may be nil
	Mirror     route.Mirror       // told of the dst of a flow whose origin has refused; may be nil
	Pulse      *mailbox.Pulse     // asks the loops whether they turn; may be nil
	Log        *slog.Logger

	Opened    func()                    // called once all loops have their files; may be nil
	Flows     []Flow                    // of another process, to begin with; their sockets are Serve's now
	Handovers <-chan func([]Flow) error // see Serve; may be nil
}

// Serve runs one event loop a listener until ctx is done. Then new flows are
// refused; live ones go on until they are quiet for two seconds, or their
// route's drain timeout has passed. The error is that of a loop that can't go on.
//
// What comes from Handovers is called with all flows, while no loop reads or sends
// anything. If it returns nil, the flows are another process's, and Serve returns; their
// file descriptors are closed then. After an error all go on.
func Serve(ctx context.Context, opt Options) error {
	if opt.Raw == nil {
		opt.Raw = datagram.OpenRaw()
		defer opt.Raw.Close()
	}
	loops, err := newLoops(opt)
	if err != nil {
		return err
	}
	defer closeAll(loops)
	for _, l := range loops {
		defer opt.Routes.Watch(l.orders.Wake)() // to look for new routes
		defer opt.Pulse.Watch(l.orders)()
	}
	if opt.Opened != nil {
		opt.Opened()
	}
	adopt(loops, opt.Flows)
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range loops {
		// Not locked to a thread: nothing in a loop belongs to one, and the lock would
		// make every pause of the garbage collector a change of threads.
		group.Go(l.run)
		defer opt.Routes.Offer(l.list)()
	}
	group.Go(func() error { // ends with ctx, or with a hand-over
		drainOrHandOver(ctx, loops, opt.Handovers)
		return nil
	})
	return group.Wait()
}

// newLoops makes all loops, or none.
func newLoops(opt Options) ([]*loop, error) {
	limits := divideLimits(opt)
	var loops []*loop
	for i := range opt.Listeners {
		l, err := newLoop(opt, i, limits[i])
		if err != nil {
			closeAll(loops)
			return nil, err
		}
		loops = append(loops, l)
	}
	return loops, nil
}

func closeAll(loops []*loop) {
	for _, l := range loops {
		l.close()
	}
}
