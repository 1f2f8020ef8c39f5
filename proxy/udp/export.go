package udp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// Flow is a flow on its way from one process to another. Its socket goes beside it
// ([Detach], [Arrivals]).
type Flow struct {
	Listener   int            `json:"listener"` // index
	Client     netip.AddrPort `json:"client"`
	Zone       uint32         `json:"zone,omitempty"` // the interface of a link-local client
	Dst        netip.AddrPort `json:"dst"`
	Route      string         `json:"route"`
	Origin     netip.AddrPort `json:"origin"`
	Header     []byte         `json:"header,omitempty"` // before each datagram to the origin
	HeaderOnce bool           `json:"header_once,omitempty"`
	SPP        bool           `json:"spp,omitempty"`
	Egress     netip.AddrPort `json:"egress,omitzero"` // where it leaves from, if it has no socket of its own
	Begun      time.Time      `json:"begun"`
	Last       time.Time      `json:"last"`
	Answered   bool           `json:"answered,omitempty"`
	Turns      int            `json:"turns,omitempty"`
	Heard      bool           `json:"heard,omitempty"` // the origin has spoken since the client last did
	Shown      bool           `json:"shown,omitempty"`
	ToOrigin   uint64         `json:"to_origin"` // bytes of payload
	ToClient   uint64         `json:"to_client"`

	FD     int `json:"-"`      // the socket to the origin; with SPP or Egress that of other flows too
	Socket int `json:"socket"` // its place among those that go with this flow
}

// Detach returns the sockets of flows that leave together, each once.
func Detach(flows []Flow) (sockets []int) {
	places := map[int]int{}
	for i := range flows {
		at, known := places[flows[i].FD]
		if !known {
			at = len(sockets)
			places[flows[i].FD] = at
			sockets = append(sockets, flows[i].FD)
		}
		flows[i].Socket = at
	}
	return sockets
}

// Arrivals are flows that come from another process, and their sockets. A socket that flows
// share comes with each part of them that has one of these flows, by another number each time.
type Arrivals struct {
	Flows  []Flow
	shared map[uint64]int // inode of a shared socket → its first number
}

// Add takes some more flows, which have passed their Check, and the sockets that came with
// them. On error the sockets remain the caller's.
func (a *Arrivals) Add(flows []Flow, sockets []int) error {
	used, shared := make([]bool, len(sockets)), make([]bool, len(sockets))
	for i := range flows {
		at := flows[i].Socket
		if at < 0 || at >= len(sockets) {
			return fmt.Errorf("a flow with socket %d of %d", at, len(sockets))
		}
		used[at], shared[at] = true, shared[at] || flows[i].shares()
	}
	if slices.Contains(used, false) {
		return fmt.Errorf("%d flows came with %d sockets, of which they don't use all", len(flows), len(sockets))
	}
	for at, fd := range sockets {
		if shared[at] {
			sockets[at] = a.once(fd)
		}
	}
	for i := range flows {
		flows[i].FD = sockets[flows[i].Socket]
	}
	a.Flows = append(a.Flows, flows...)
	return nil
}

// shares reports whether other flows may have the same socket.
func (in Flow) shares() bool { return in.SPP || in.Egress.IsValid() }

// once returns the first number that the socket fd came by, and closes a later one: read
// by two numbers, each datagram of a socket would wake its loop twice.
func (a *Arrivals) once(fd int) int {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return fd
	}
	if first, known := a.shared[stat.Ino]; known {
		unix.Close(fd)
		return first
	}
	if a.shared == nil {
		a.shared = map[uint64]int{}
	}
	a.shared[stat.Ino] = fd
	return fd
}

// Close closes the sockets of flows that go nowhere.
func (a *Arrivals) Close() {
	for _, fd := range Detach(a.Flows) {
		unix.Close(fd)
	}
	*a = Arrivals{}
}

// export lists the flows in the order in which those of one client give way: first those
// without an answer. The table keeps them, and their sockets.
func (t *table) export(listener int) []Flow {
	flows := make([]Flow, 0, len(t.flows))
	for f := range t.crowds.inOrder {
		flows = append(flows, t.exported(f, listener))
	}
	for _, f := range t.byDue {
		if f.stage == shown {
			flows = append(flows, t.exported(f, listener))
		}
	}
	return flows
}

func (t *table) exported(f *flow, listener int) Flow {
	var egress netip.AddrPort
	if f.exit != nil {
		egress = f.exit.addr()
	}
	return Flow{
		Listener: listener, FD: f.fd,
		Client: f.client(), Zone: f.key.client.Zone, Dst: f.dst(), Route: f.route.Name, Origin: f.originAddr(),
		Header: f.header, HeaderOnce: f.headerOnce, SPP: f.spp, Egress: egress,
		Begun: t.wall(f.begun), Last: t.wall(f.last),
		Answered: f.stage != unanswered, Turns: f.turns.count(), Heard: f.turns.originSpoke(), Shown: f.turns.shown(), ToOrigin: f.toOrigin, ToClient: f.toClient,
	}
}

// wall is the time of a moment by the clock as it is now, which may have been set since the epoch:
// another process reckons from its own clock how long ago that was.
func (t *table) wall(at time.Duration) time.Time { return time.Now().Add(at - time.Since(t.epoch)) }

// moment is the inverse of wall, for what another process has told.
func (t *table) moment(wall time.Time) time.Duration {
	return time.Since(t.epoch) - time.Since(wall.Round(0))
}

// leave forgets the flows: they are another process's, who writes them down in the end.
func (t *table) leave() {
	for _, f := range t.flows {
		t.remove(f)
	}
}

// adopt gives a flow of another process its place here. It is not asked for the
// limits, which it met when it began. One whose route is gone has nowhere to be: it is
// written down as ended, and its socket remains the caller's.
func (t *table) adopt(in Flow, now time.Duration) (adopted bool) {
	verdict := t.settleIn(in, now)
	if verdict == route.Admitted {
		return true
	}
	t.routes.Unrouted.Shard(t.shard).End(config.UDP, verdict)
	t.log(route.Record{
		Begun: in.Begun, Took: in.Last.Sub(in.Begun), Protocol: config.UDP, Route: in.Route,
		Client: in.Client, Dst: in.Dst, Origin: in.Origin, ToOrigin: in.ToOrigin, ToClient: in.ToClient, Verdict: verdict,
	})
	return false
}

func (t *table) settleIn(in Flow, now time.Duration) route.Verdict {
	k, r := in.key(), t.routes.Set().Named(in.Route)
	switch {
	case r == nil:
		return route.NoRoute
	case t.flows[k] != nil:
		return route.RelayFailed
	}
	t.dials++
	f := &flow{
		key: k, route: r, counters: r.Stats.Shard(t.shard),
		origin: r.Origins.At(in.Origin, in.Dst.Port()), generation: t.dials,
		turns: in.turns(), header: in.Header, headerOnce: in.HeaderOnce, spp: in.SPP,
		begun: t.moment(in.Begun), last: t.moment(in.Last),
		toOrigin: in.ToOrigin, toClient: in.ToClient,
	}
	if in.Egress.IsValid() {
		f.exit = newExit(in.Egress, in.Origin)
	}
	if err := t.sockets.take(f, in.FD); err != nil {
		t.report(now, "a flow of another process cannot go on", "route", in.Route, "client", in.Client, "error", err)
		return route.RelayFailed
	}
	t.crowds.join(f)
	if in.Answered {
		t.crowds.answered(f)
	}
	if in.Answered && f.turns.shown() {
		t.crowds.shown(f)
	}
	r.Readmit(config.UDP, in.Client.Addr())
	f.origin.Begin()
	f.reply = t.replies.hold(t.replies.of(in.Dst)) // opened for the first datagram that needs it
	t.may.Insist(1)
	if f.owns() {
		t.mayOwn.insist()
	}
	t.place(f)
	return route.Admitted
}

// turns are those of the flow. A version that asked for one turn alone said no more than
// Shown: its flows go on as they were.
func (in Flow) turns() turns {
	if in.Shown {
		return turnsOf(turnsToShow, false)
	}
	return turnsOf(in.Turns, in.Heard)
}

func (in Flow) key() key {
	k := key{client: datagram.EndpointOf(in.Client), dst: datagram.EndpointOf(in.Dst)}
	k.client.Zone = in.Zone
	return k
}

// Check says what of a flow cannot be, where there are so many listeners. A flow that
// does not pass must not be given to Serve.
func (in Flow) Check(listeners int) error {
	if in.Listener < 0 || in.Listener >= listeners {
		return fmt.Errorf("a flow of listener %d, where there are %d: listen.workers differs", in.Listener, listeners)
	}
	addrs := []netip.AddrPort{in.Client, in.Dst, in.Origin}
	if in.Egress != (netip.AddrPort{}) {
		addrs = append(addrs, in.Egress)
	}
	for _, a := range addrs {
		if !a.IsValid() || a.Port() == 0 || a.Addr().Is4In6() || a.Addr().Zone() != "" {
			return fmt.Errorf("a flow from %v to %v by %v cannot be", in.Client, in.Dst, in.Origin)
		}
	}
	if in.Egress.IsValid() && in.Egress.Addr().Is4() != in.Origin.Addr().Is4() {
		return fmt.Errorf("a flow to %v cannot leave from %v", in.Origin, in.Egress)
	}
	return nil
}
