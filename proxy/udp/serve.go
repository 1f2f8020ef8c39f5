package udp

import (
	"context"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"anyport/proxy/datagram"
	"anyport/proxy/fdbudget"
	"anyport/proxy/flow"
	"anyport/proxy/mailbox"
	"anyport/proxy/route"
)

// Options are what Serve needs.
type Options struct {
	// Listeners are non-blocking UDP sockets of either family, with IP_RECVORIGDSTADDR and
	// IPV6_RECVORIGDSTADDR set. They remain the caller's, who also counts what the kernel drops there.
	// The origin sockets get the listener's receive buffer.
	Listeners  []int
	FirstShard int // listener i counts in shard FirstShard+i
	Routes     *route.Live
	MaxFlows   int              // of all listeners together; 0: flow.DefaultMaxFlows. Those with a socket of their own: see MaxSockets
	Files      *fdbudget.Shares // files that the loops may open; nil: no bound
	Raw        *datagram.Raw    // answers where no socket can be bound; nil: Serve opens its own
	Knock      Knock            // gets datagrams of no flow first; may be nil
	Mirror     route.Mirror     // called with the dst of a flow whose origin has refused; may be nil
	Fast       FastPath         // forwards flows in the kernel; nil: none does
	Fleet      Fleet            // other hosts that may have flows; nil: there are none
	FastLeft   FastLeft         // what it still forwards of a process that has died; nil: there was none
	Pulse      *mailbox.Pulse   // asks the loops whether they are stuck; may be nil
	Log        *slog.Logger

	Opened    func()                    // called once all loops have opened what they need for themselves; may be nil
	Flows     []Flow                    // of another process, which go on here; Serve closes their sockets
	Handovers <-chan func([]Flow) error // see Serve; may be nil
	Joined    <-chan Fleet              // at most one, in the place of Fleet, if that is nil; may be nil
}

// Serve runs one event loop for each listener until ctx is done. Then it refuses new flows; live ones
// go on until they are quiet for two seconds, or the drain timeout of their route has passed. It
// returns an error where a loop cannot go on.
//
// A function from Handovers is called with all flows, while no loop reads or sends anything. If it
// returns nil, another process has the flows: Serve closes their file descriptors, and returns. After
// an error all loops go on.
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
	for i, l := range loops {
		defer opt.Routes.Watch(l.orders.Wake)() // a reload: see flow.Table.Reload
		defer opt.Pulse.Watch(l.orders, mailbox.Name{Of: "udp", Number: i}, l.pace.Busy)()
	}
	if opt.Fast != nil {
		defer opt.Routes.Watch(func() { raise(opt.Fast, opt.Log) })()
	}
	if opt.Opened != nil {
		opt.Opened()
	}
	adopt(loops, opt.Flows)
	adoptLeft(loops, opt)
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range loops {
		// Not locked to a thread: nothing in a loop belongs to one, and with the lock every pause of
		// the garbage collector would switch threads. A loop ends when it has drained or handed over.
		group.Go(l.run)
		defer opt.Routes.Offer(route.Loop{List: l.list, End: l.kill, Count: l.countForwarded})()
	}
	group.Go(func() error { // ends with ctx, or with a hand-over
		drainOrHandOver(ctx, loops, opt)
		return nil
	})
	return group.Wait()
}

// newLoops makes all loops, or none.
func newLoops(opt Options) ([]*loop, error) {
	limits, asClients := divideLimits(opt), &clientSockets{ends: map[flow.Key]bool{}}
	var loops []*loop
	for i := range opt.Listeners {
		l, err := newLoop(opt, i, limits[i])
		if err != nil {
			closeAll(loops)
			return nil, err
		}
		l.clientSockets = asClients
		loops = append(loops, l)
	}
	return loops, nil
}

// closeAll closes what loops have opened, once none of them runs.
func closeAll(loops []*loop) {
	for _, l := range loops {
		l.close()
	}
}
