package udp

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/datagram"
	"anyport/proxy/fdbudget"
	"anyport/proxy/quota"
	"anyport/proxy/route"
)

// reuseRig is a loop that a test turns by hand, whose flows end when the test says so.
type reuseRig struct {
	*testing.T
	*loop
	routes *route.Live
	origin peer
	dst    netip.AddrPort
	time   time.Duration
}

// newReuseRig makes one that uses a free socket if there is at least that number.
func newReuseRig(t *testing.T, least int, change func(*Options)) *reuseRig {
	t.Helper()
	noLeaks(t)
	g := &reuseRig{T: t, origin: newPeer(t, "127.0.0.1"), time: 1}
	listeners, dsts := listen(t, "127.0.0.1")
	r := to(g.origin.addr())
	r.AntiAmplification = true // a question and its answer cost nothing more
	g.routes, g.dst = live(r, dsts...), dsts[0]
	opt := Options{Routes: g.routes}
	if change != nil {
		change(&opt)
	}
	g.loop = newTestLoop(t, listeners[0], opt)
	g.free.least, g.free.uses = least, math.MaxInt
	return g
}

// turn does what is to be done now.
func (g *reuseRig) turn() {
	g.Helper()
	events := make([]unix.EpollEvent, 256)
	n, err := unix.EpollWait(g.epoll, events, 0)
	check(g.T, err)
	g.handle(events[:n], g.time)
}

// ask has a new client ask, and returns it with the address that the origin was asked from.
func (g *reuseRig) ask(text string) (client peer, from netip.AddrPort) {
	g.Helper()
	client = newPeer(g.T, "127.0.0.1")
	client.send([]byte(text), g.dst)
	g.turn()
	got, from := g.origin.receive()
	if string(got) != text {
		g.Fatalf("the origin received %q, want %q", got, text)
	}
	return client, from
}

// exchange is ask, and the answer.
func (g *reuseRig) exchange(text string) (client peer, from netip.AddrPort) {
	g.Helper()
	client, from = g.ask(text)
	g.answer(client, from, text)
	return client, from
}

func (g *reuseRig) answer(client peer, from netip.AddrPort, text string) {
	g.Helper()
	g.origin.send([]byte(text), from)
	g.turn()
	client.expect([]byte(text), g.dst)
}

// idle has all flows end.
func (g *reuseRig) idle() {
	g.time += 2 * time.Hour
	g.endDue(g.time)
}

// opened is how many sockets to the origin were opened until now.
func (g *reuseRig) opened() (generation uint32) {
	for _, o := range g.owners.each {
		generation = max(generation, o.generation)
	}
	return generation
}

func (g *reuseRig) late() uint64 {
	return g.routes.Set().Routes[0].Stats.Totals().Datagrams[route.ToClient][route.FlowEnded]
}

// TestSocketIsUsedAgain: by one flow after the other, without a file or a place more.
func TestSocketIsUsedAgain(t *testing.T) {
	g := newReuseRig(t, 1, nil)
	_, first := g.exchange("one")
	files := countFiles(t)
	for range 3 {
		g.idle()
		if g.flows.Len() != 0 || g.free.n != 1 || g.sockets.Ports.Held() != 1 {
			t.Fatalf("%d flows, %d free sockets, %d places are taken", g.flows.Len(), g.free.n, g.sockets.Ports.Held())
		}
		client, from := g.exchange("another")
		if from != first || g.free.n != 0 || g.sockets.Ports.Held() != 1 {
			t.Fatalf("it left from %v, want %v; %d are free, %d places are taken", from, first, g.free.n, g.sockets.Ports.Held())
		}
		client.Close()
		if now := countFiles(t); now != files { // the test's client is closed
			t.Errorf("%d files, want %d", now, files)
		}
	}
}

// TestTwoFreeSockets: one is not enough, where two have to be there to choose from.
func TestTwoFreeSockets(t *testing.T) {
	g := newReuseRig(t, 2, nil)
	g.exchange("one")
	g.idle()
	if g.exchange("two"); g.opened() != 2 || g.free.n != 1 {
		t.Fatalf("%d sockets were opened, %d are free", g.opened(), g.free.n)
	}
	g.idle()
	if g.exchange("three"); g.opened() != 2 || g.free.n != 1 {
		t.Errorf("%d sockets were opened, %d are free", g.opened(), g.free.n)
	}
}

// TestLateAnswer: what comes to a free socket reaches nobody, whether the loop sees it while the socket
// is free, or finds it when the next flow is about to get the socket.
func TestLateAnswer(t *testing.T) {
	for name, seen := range map[string]bool{"while it is free": true, "when it is taken": false} {
		t.Run(name, func(t *testing.T) {
			g := newReuseRig(t, 1, nil)
			former, from := g.exchange("one")
			g.idle()
			g.origin.send([]byte("late"), from)
			g.origin.send([]byte("later"), from)
			if seen {
				if g.turn(); g.free.n != 0 || g.late() != 2 {
					t.Errorf("%d are free; %d late answers", g.free.n, g.late())
				}
			}
			next := newPeer(t, "127.0.0.1")
			next.send([]byte("two"), g.dst)
			g.handle([]unix.EpollEvent{{Fd: int32(g.listener), Events: unix.EPOLLIN}}, g.time)
			if _, from = g.origin.receive(); g.opened() != 2 || g.free.n != 0 || g.late() != 2 {
				t.Errorf("%d sockets were opened, %d are free; %d late answers", g.opened(), g.free.n, g.late())
			}
			g.answer(next, from, "two")
			for _, p := range []peer{former, next} {
				if b, _, err := unixReceive(p); err == nil {
					t.Errorf("a client got %q", b)
				}
			}
		})
	}
}

// unixReceive receives what is there, without waiting.
func unixReceive(p peer) (b []byte, from netip.AddrPort, err error) {
	check(p.T, p.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	b = make([]byte, 100)
	n, from, err := p.ReadFromUDPAddrPort(b)
	return b[:n], from, err
}

// TestLateAnswersAmongManyFlows: the sockets of a batch of flows are looked at together. What has come to one
// of them reaches nobody, also where it came after the batch before had drawn that socket, and not used it.
func TestLateAnswersAmongManyFlows(t *testing.T) {
	const flows = 6
	g := newReuseRig(t, 1, nil)
	var from []netip.AddrPort
	for range flows {
		_, source := g.exchange("one")
		from = append(from, source)
	}
	g.idle()
	g.newFlows.left = flows // as if that many arrivals followed in the batch
	if list := g.free.lists[useOfOnly(g)]; !g.drawFree(list, flows) || list.drawn != flows {
		t.Fatalf("%d of %d are drawn", list.drawn, flows)
	}
	g.endBatch()
	late := []netip.AddrPort{from[1], from[4]}
	for _, source := range late {
		g.origin.send([]byte("late"), source)
	}
	newClientsTo(t, g.dst, flows)
	g.handle([]unix.EpollEvent{{Fd: int32(g.listener), Events: unix.EPOLLIN}}, g.time)
	asked := map[netip.AddrPort]bool{}
	for range flows {
		_, source := g.origin.receive()
		asked[source] = true
	}
	if len(asked) != flows || asked[late[0]] || asked[late[1]] {
		t.Errorf("the origin was asked from %v; late answers came to %v", asked, late)
	}
	dialled := 0
	for _, o := range g.owners.each {
		if o.generation > flows {
			dialled++
		}
	}
	if dialled != 2 || g.free.n != 0 || g.late() != 2 || g.sockets.Ports.Held() != flows {
		t.Errorf("%d sockets were dialled, %d are free, %d places are taken; %d late answers", dialled, g.free.n, g.sockets.Ports.Held(), g.late())
	}
}

// useOfOnly is the use of all free sockets of g.
func useOfOnly(g *reuseRig) (use socketUse) {
	for use = range g.free.lists {
	}
	return use
}

// TestRefusedFreeSocket: the ICMP error of one flow is not the next one's.
func TestRefusedFreeSocket(t *testing.T) {
	for name, seen := range map[string]bool{"while it is free": true, "when it is taken": false} {
		t.Run(name, func(t *testing.T) {
			g := newReuseRig(t, 1, nil)
			g.exchange("one")
			g.idle()
			check(t, g.origin.Close())
			for fd, o := range g.owners.each {
				if o.free != nil {
					check(t, unix.Send(fd, nil, 0))
				}
			}
			if seen {
				if g.turn(); g.free.n != 0 {
					t.Error("it is still free")
				}
			}
			newPeer(t, "127.0.0.1").send([]byte("two"), g.dst)
			g.handle([]unix.EpollEvent{{Fd: int32(g.listener), Events: unix.EPOLLIN}}, g.time)
			if g.opened() != 2 || g.free.n != 0 || g.late() != 0 {
				t.Errorf("%d sockets were opened, %d are free; %d late answers", g.opened(), g.free.n, g.late())
			}
		})
	}
}

// TestSocketIsClosed: only a flow that was one question and its answer, and then silence, leaves its
// socket.
func TestSocketIsClosed(t *testing.T) {
	for name, end := range map[string]func(*reuseRig){
		"killed":     func(g *reuseRig) { g.exchange("one"); g.endAll(route.Killed, g.time) },
		"unanswered": func(g *reuseRig) { g.ask("one"); g.idle() },
		"answered twice": func(g *reuseRig) {
			client, from := g.exchange("one")
			g.answer(client, from, "one")
			g.idle()
		},
		"asked twice": func(g *reuseRig) {
			client, from := g.exchange("one")
			client.send([]byte("again"), g.dst)
			g.turn()
			g.origin.receive()
			g.answer(client, from, "again")
			g.idle()
		},
		"drained":          func(g *reuseRig) { g.exchange("one"); g.flows.Drain(g.time); g.idle() },
		"no place is left": func(g *reuseRig) { g.exchange("one"); g.sockets.Ports.Insist(1 << 20); g.idle() },
		"not opened here": func(g *reuseRig) {
			g.exchange("one")
			for _, o := range g.owners.each {
				o.fresh = false
			}
			g.idle()
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newReuseRig(t, 1, nil)
			if end(g); g.free.n != 0 || g.opened() != 0 {
				t.Errorf("%d sockets are free", g.free.n)
			}
		})
	}
}

// TestReloadedRoute: its flows get sockets of their own.
func TestReloadedRoute(t *testing.T) {
	g := newReuseRig(t, 1, nil)
	g.exchange("one")
	g.idle()
	changed := *g.routes.Set().Routes[0].Route
	changed.Source = []netip.Addr{netip.MustParseAddr("127.0.0.9")}
	g.routes.Swap(routes{g.dst: &changed}, []*config.Route{&changed})
	if _, from := g.exchange("two"); from.Addr() != changed.Source[0] {
		t.Errorf("it left from %v", from)
	}
}

// TestFreeSocketsMakeRoom: they are closed before a flow is evicted, or one refused.
func TestFreeSocketsMakeRoom(t *testing.T) {
	const places = 8
	g := newReuseRig(t, 100, func(opt *Options) {
		opt.Files = &fdbudget.Shares{Flows: []*quota.Quota{quota.New(0, quota.NewPool(places))}, Replies: make([]*quota.Quota, 1), MostFlows: 16 * places}
	})
	files := g.sockets.Files
	for range places / 2 {
		g.exchange("one")
	}
	g.idle()
	if g.free.n == 0 || g.free.n != files.Held() {
		t.Fatalf("%d sockets are free, %d files are held", g.free.n, files.Held())
	}
	for i := range places {
		g.exchange("two")
		if g.flows.Len() != i+1 || files.Held() > places {
			t.Fatalf("%d flows, want %d; %d files are held", g.flows.Len(), i+1, files.Held())
		}
	}
	if g.free.n != 0 {
		t.Errorf("%d sockets are free", g.free.n)
	}
}

// TestFreeSocketsAreClosed: after their time; where others need their places; with the flows, that go to another process.
func TestFreeSocketsAreClosed(t *testing.T) {
	for name, closing := range map[string]func(*reuseRig){
		"in time": func(g *reuseRig) {
			for g.closeOldFree(g.time); g.free.n > 0; g.closeOldFree(g.time) {
				wait := g.timeout()
				if wait < 0 || g.time > 24*time.Hour {
					g.Fatal("they would stay")
				}
				g.time += freeLook
			}
			if g.timeout() != -1 {
				g.Error("the loop wakes up for nothing")
			}
		},
		"for others": func(g *reuseRig) {
			g.sockets.Ports.Insist(1 << 20)
			g.time += freeLook
			g.closeOldFree(g.time)
			g.sockets.Ports.Give(1 << 20)
		},
		"with a hand-over": func(g *reuseRig) {
			if moving := g.movingFlows(0); len(moving) != 0 {
				g.Errorf("%d flows", len(moving))
			}
			g.forgetFlows()
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newReuseRig(t, 1, nil)
			files := countFiles(t)
			client, _ := g.exchange("one")
			client.Close()
			if g.idle(); g.free.n != 1 || countFiles(t) != files+1 {
				t.Fatalf("%d are free", g.free.n)
			}
			if closing(g); g.free.n != 0 || countFiles(t) != files || g.sockets.Ports.Held() != 0 {
				t.Errorf("%d are free, %d files, want %d; %d places are taken", g.free.n, countFiles(t), files, g.sockets.Ports.Held())
			}
		})
	}
}

// TestDropPending: all that waits is dropped, and an error that waits is told apart from nothing.
func TestDropPending(t *testing.T) {
	fd, other := open(t, netip.MustParseAddr("127.0.0.1")), newPeer(t, "127.0.0.1")
	check(t, unix.Connect(fd, unixAddr(other.addr())))
	if n, err := datagram.DropPending(fd); n != 0 || err != unix.EAGAIN {
		t.Errorf("nothing: %d, %v", n, err)
	}
	for _, size := range []int{0, 1, 60_000} {
		other.send(make([]byte, size), boundTo(t, fd))
	}
	if n, err := datagram.DropPending(fd); n != 3 || err != unix.EAGAIN {
		t.Errorf("three datagrams: %d, %v", n, err)
	}
	check(t, other.Close())
	check(t, unix.Send(fd, nil, 0))
	if n, err := datagram.DropPending(fd); n != 0 || err != unix.ECONNREFUSED {
		t.Errorf("an error: %d, %v", n, err)
	}
}
