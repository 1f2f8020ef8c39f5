package udp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
)

// talk has clients that have begun a flow each with an origin that tells its sender's port.
type talk struct {
	clients []peer
	dsts    []netip.AddrPort
}

func begin(t *testing.T, dsts []netip.AddrPort) talk {
	t.Helper()
	k := talk{dsts: dsts}
	for range 12 {
		k.clients = append(k.clients, newPeer(t, "127.0.0.1"))
	}
	return k
}

func (k talk) send(text string) {
	for i, c := range k.clients {
		c.send([]byte(text), k.dsts[i%len(k.dsts)])
	}
}

// hear returns the answers, which must come from where the client has sent to.
func (k talk) hear(t *testing.T) (answers []string) {
	t.Helper()
	for i, c := range k.clients {
		answer, from := c.receive()
		if want := k.dsts[i%len(k.dsts)]; from != want {
			t.Fatalf("%q came from %v, want %v", answer, from, want)
		}
		answers = append(answers, string(answer))
	}
	return answers
}

// tellPorts answers each datagram with it and the port that it came from.
func (p peer) tellPorts() {
	go func() { // ends when the origin is closed
		for b := make([]byte, 1<<16); ; {
			n, from, err := p.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = p.WriteToUDPAddrPort(fmt.Appendf(b[:n:n], " from %d", from.Port()), from)
		}
	}()
}

// copied are flows as another process gets them, in parts, with file descriptors of its own.
func copied(t *testing.T, flows []Flow) []Flow {
	t.Helper()
	var arrivals Arrivals
	for part := range slices.Chunk(flows, 5) {
		var copies []int
		for _, fd := range Detach(part) {
			fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			check(t, err)
			copies = append(copies, fd)
		}
		check(t, arrivals.Add(travel(t, part), copies))
	}
	return arrivals.Flows
}

// TestSharedSocketsArriveOnce: flows that share sockets come in parts, each with a copy of
// its sockets; one of each is kept.
func TestSharedSocketsArriveOnce(t *testing.T) {
	noLeaks(t)
	var flows []Flow
	sockets := map[int]bool{}
	for range 4 {
		sockets[open(t, originAddr.Addr())] = true
	}
	for fd := range sockets {
		for range 3 * 5 {
			flows = append(flows, Flow{FD: fd, SPP: true})
		}
	}
	before := countFiles(t)
	arrived := copied(t, flows)
	if n := countFiles(t) - before; n != len(sockets) {
		t.Errorf("%d sockets came to %d files", len(sockets), n)
	}
	first := map[int]int{}
	for i, f := range arrived {
		if before, known := first[flows[i].FD]; known && before != f.FD {
			t.Errorf("flow %d has file %d, and one before it with the same socket file %d", i, f.FD, before)
		}
		first[flows[i].FD] = f.FD
	}
	left := Arrivals{Flows: arrived}
	left.Close()
}

func TestAttach(t *testing.T) {
	flows := []Flow{{FD: 7}, {FD: 9}, {FD: 7}, {FD: 8}}
	if sockets := Detach(flows); !slices.Equal(sockets, []int{7, 9, 8}) {
		t.Errorf("sockets %v leave", sockets)
	}
	arrived := travel(t, flows)
	check(t, new(Arrivals).Add(arrived, []int{17, 19, 18}))
	for i, want := range []int{17, 19, 17, 18} {
		if arrived[i].FD != want {
			t.Errorf("flow %d has socket %d, want %d", i, arrived[i].FD, want)
		}
	}
	for _, sockets := range [][]int{nil, {17, 19}, {17, 19, 18, 20}} {
		if new(Arrivals).Add(arrived, sockets) == nil {
			t.Errorf("%d sockets came for the three that left, without an error", len(sockets))
		}
	}
	arrived[1].Socket = -1
	if new(Arrivals).Add(arrived, []int{17, 19, 18}) == nil {
		t.Error("socket -1 is taken for one")
	}
}

// TestHandOver moves flows from one Serve to another on the same listeners: the
// origin sees them come from the same ports, and what was sent meanwhile is answered.
func TestHandOver(t *testing.T) {
	for _, kind := range []config.ProxyProtocol{config.ProxyOff, config.ProxySPP} {
		t.Run(string(kind), func(t *testing.T) { testHandOver(t, kind) })
	}
}

func testHandOver(t *testing.T, kind config.ProxyProtocol) {
	noLeaks(t)
	origin := newPeer(t, "127.0.0.1")
	origin.tellPorts()
	r := to(origin.addr())
	r.ProxyProtocol = kind
	listeners, dsts := listen(t, "127.0.0.1", "127.0.0.2")
	handovers := make(chan func([]Flow) error)
	old := Options{Listeners: listeners, Routes: live(r, dsts...), Handovers: handovers, Log: slog.New(slog.DiscardHandler)}
	ended := make(chan error, 1)
	go func() { ended <- Serve(context.Background(), old) }() // ends with the hand-over

	k := begin(t, dsts)
	k.send("hello")
	before := k.hear(t)
	next := Options{Listeners: listeners, Routes: live(r, dsts...)}
	handovers <- func(flows []Flow) error {
		next.Flows = copied(t, flows)
		k.send("hello")
		return nil
	}
	check(t, <-ended)
	if n := old.Routes.Set().Routes[0].Origins().Origins[0].Active(); n != 0 {
		t.Errorf("%d flows are still counted where they have left", n)
	}
	p := serveOn(t, next, dsts)
	if after := k.hear(t); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the origin answered\n%v before, and after\n%v", before, after)
	}
	was, is := old.Routes.Set().Routes[0], p.live.Set().Routes[0]
	if n := is.Origins().Origins[0].Active(); n != int64(len(k.clients)) {
		t.Errorf("%d flows, want the %d that came", n, len(k.clients))
	}
	if n := was.Origins().Origins[0].Total() + is.Origins().Origins[0].Total(); n != uint64(len(k.clients)) {
		t.Errorf("the origin got %d flows, want %d", n, len(k.clients))
	}
	if n := was.Stats.Totals().Arrived + is.Stats.Totals().Arrived; n != uint64(len(k.clients)) {
		t.Errorf("%d flows arrived, want %d", n, len(k.clients))
	}
}

// TestHandOverFails: where no process takes the flows, they go on, and what was sent
// meanwhile is answered.
func TestHandOverFails(t *testing.T) {
	noLeaks(t)
	origin := newPeer(t, "127.0.0.1")
	origin.tellPorts()
	listeners, dsts := listen(t, "127.0.0.1", "127.0.0.2")
	handovers := make(chan func([]Flow) error)
	serveOn(t, Options{Listeners: listeners, Routes: live(to(origin.addr()), dsts...), Handovers: handovers}, dsts)

	k := begin(t, dsts)
	k.send("hello")
	before := k.hear(t)
	for range 3 {
		handovers <- func(flows []Flow) error {
			if len(flows) != len(k.clients) {
				t.Errorf("%d flows, want %d", len(flows), len(k.clients))
			}
			k.send("hello")
			return errors.New("not today")
		}
		if after := k.hear(t); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("the origin answered\n%v before, and after\n%v", before, after)
		}
	}
}

// travel is what becomes of flows on their way.
func travel(t *testing.T, flows []Flow) (arrived []Flow) {
	t.Helper()
	text, err := json.Marshal(flows)
	check(t, err)
	check(t, json.Unmarshal(text, &arrived))
	for i := range arrived {
		arrived[i].FD = flows[i].FD
	}
	return arrived
}

// originSocket opens a socket that a loop adopts, and closes.
func originSocket(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	return fd
}

// TestAdoptOrphan: a flow whose route the new file does not have ends, and its socket is closed,
// except one that another flow uses.
func TestAdoptOrphan(t *testing.T) {
	var verdicts []route.Verdict
	listeners, _ := listen(t, "127.0.0.1")
	routes := live(to(originAddr), dst1)
	routes.SetRecording(route.Recording{To: func(r route.Record) { verdicts = append(verdicts, r.Verdict) }, Share: 1})
	l := newTestLoop(t, listeners[0], Options{Routes: routes})
	orphan := Flow{Client: client1, Dst: dst1, Route: "gone", Origin: originAddr, FD: originSocket(t)}
	lucky := Flow{Client: client2, Dst: dst1, Route: "test", Origin: originAddr, FD: originSocket(t)}
	sharing := orphan
	sharing.FD = lucky.FD
	adopt([]*loop{l}, []Flow{orphan, lucky, sharing})
	if diff := cmp.Diff([]route.Verdict{route.NoRoute, route.NoRoute}, verdicts); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if _, err := unix.FcntlInt(uintptr(orphan.FD), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the orphan's socket: %v, want it closed", err)
	}
	if _, err := unix.FcntlInt(uintptr(lucky.FD), unix.F_GETFD, 0); err != nil {
		t.Errorf("the socket of a flow that lives: %v", err)
	}
	l.endAll(route.IdleTimedOut, 2)
	if n := routes.Set().Routes[0].Stats.Active(config.UDP); l.flows.Len() != 0 || n != 0 {
		t.Errorf("%d flows are left, %d are counted", l.flows.Len(), n)
	}
}

// TestAdoptAfterChange: the file has changed with the upgrade: the route of a flow is still there, and
// no longer forwards its dst.
func TestAdoptAfterChange(t *testing.T) {
	r := to(originAddr)
	r.Drain = 30 * time.Second
	listeners, _ := listen(t, "127.0.0.1")
	l := newTestLoop(t, listeners[0], Options{Routes: live(r, dst1)})
	in := Flow{Client: client1, Dst: dst2, Route: "test", Origin: originAddr, FD: originSocket(t), Answered: true, Begun: time.Now(), Last: time.Now()}
	adopt([]*loop{l}, []Flow{in})
	if l.flows.Find(in.Key()) == nil {
		t.Fatal("the flow is not adopted")
	}
	l.flows.Reload(l.now())                                                // by the first turn
	if deadline, _ := l.flows.NextDeadline(); deadline > l.now()+r.Drain { // else it would be idle after an hour
		t.Errorf("the flow is not drained: its deadline is in %v", deadline-l.now())
	}
}
