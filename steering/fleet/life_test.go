package fleet

import (
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/netnstest"
)

// TestError: an ICMP error about what an edge has sent reaches that edge, although the router sends it to
// another one. Without it the conn stands still.
func TestError(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(false)
	for _, at := range both {
		r.serve(0, at)
		c := r.dial(0, at)
		r.askAll([]*conn{c})
		r.mtu(r.router, "c0", 1300)
		r.route(1)
		before := r.edges[0].fleet.Status().Counts
		for range 20 { // some answers are longer
			if err := c.ask(); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
		}
		if c.sent < 10 || r.edges[0].fleet.Status().Counts.Taken <= before.Taken+20 {
			t.Errorf("%s: %+v, before %+v", at, r.edges[0].fleet.Status().Counts, before)
		}
		r.mtu(r.router, "c0", 1500)
	}
}

// TestGone: of a conn that has ended, the peer says so, and the packets of the next one with the same
// ports are asked for.
func TestGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(false)
	r.serve(0, both[0])
	c := r.dial(0, both[0])
	r.route(1)
	r.askAll([]*conn{c})
	r.eventually("edge 2 has learnt", func() bool { return r.edges[1].fleet.Status().Counts.Learnt > 0 })
	r.edges[0].kill(t, c)
	r.eventually("edge 1 says that the conn is gone", func() bool {
		_, _ = c.Write([]byte("?"))
		return r.edges[1].fleet.Status().Counts.Gone > 0
	})
}

// kill ends the conn on the edge without a word to the client: the host was restarted.
func (e *edge) kill(t testing.TB, c *conn) {
	t.Helper()
	end := tupleOf(c)
	netnstest.In(t, e.ns, func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetDown(l); err != nil { // the reset does not leave
			return err
		}
		if err := netlink.SocketDestroy(net.TCPAddrFromAddrPort(end.dst), net.TCPAddrFromAddrPort(end.client)); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
		return routes("eth0", "10.2.1.1")
	})
}

// TestGivenUp: a conn about which no peer says anything is reset when questions were in vain for long, and not
// before.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(false)
	r.serve(0, both[0])
	c := r.dial(0, both[0])
	r.askAll([]*conn{c})
	r.edges[0].kill(t, c)
	asker := r.edges[1]
	r.cut(0)
	r.route(1)
	var b bpf.FleetBackplane
	if err := asker.fleet.objects.backplane.Lookup(uint32(0), &b); err != nil {
		t.Fatal(err)
	}
	b.Patience = uint64(time.Second)
	if err := asker.fleet.objects.backplane.Put(uint32(0), b); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	r.eventually("the conn is reset", func() bool {
		time.Sleep(50 * time.Millisecond)
		_, err := c.Write([]byte("?"))
		return err != nil
	})
	if took := time.Since(begun); took < time.Second {
		t.Errorf("after %v", took)
	}
	if c := asker.fleet.Status().Counts; c.GivenUp == 0 || c.Denied > 0 {
		t.Errorf("it was not given up: %+v", c)
	}
}

// TestBye: a peer that stops is not asked any more, at once, and then the kernel answers.
func TestBye(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(true)
	r.serve(0, both[1])
	c := r.dial(0, both[1])
	r.askAll([]*conn{c})
	stayed := r.edges[1].fleet
	if err := r.edges[0].fleet.Close(); err != nil {
		t.Fatal(err)
	}
	r.eventually("the peer is known to have stopped", func() bool { return !stayed.Status().Peers[0].Alive })
	r.route(1)
	if err := c.ask(); err == nil {
		t.Error("the conn lives on")
	}
	if n := stayed.Status().Counts.Asked; n != 0 {
		t.Errorf("%d packets were asked for", n)
	}
	if s := r.edges[0].fleet.Status(); s.Off == "" {
		t.Errorf("%+v", s)
	}
}

// TestHandover: another process goes on with the programs, what was learnt, and the peers, which notice
// nothing.
func TestHandover(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(false)
	r.serve(0, both[0])
	c := r.dial(0, both[0])
	r.route(1)
	r.askAll([]*conn{c})
	asker, owner := r.edges[1], r.edges[0]
	r.eventually("edge 2 has learnt", func() bool { return asker.fleet.Status().Counts.Learnt > 0 })
	changed, options := owner.fleet.Status().Changed, asker.fleet.options
	next := asker.successor(t)
	if err := next.Set(options); err != nil {
		t.Fatal(err)
	}
	if s := next.Status(); !s.Peers[0].Alive || s.Off != "" {
		t.Errorf("the next process begins with %+v", s)
	}
	for _, f := range []*Fleet{next, asker.fleet} {
		var n bpf.FleetNeeded
		if err := errors.Join(f.probeAll(), next.objects.needed.Lookup(uint32(0), &n)); err != nil || n.Since != uint64(next.convoked) {
			t.Errorf("whose word it takes says another process than the next: %+v, %v", n, err)
		}
	}
	before := next.Status().Counts
	if err := asker.fleet.Release(); err != nil {
		t.Fatal(err)
	}
	r.askAll([]*conn{c})
	after := next.Status().Counts
	if after.Asked != before.Asked || after.Straight <= before.Straight {
		t.Errorf("%+v, before %+v", after, before)
	}
	another := r.dial(0, both[0])
	r.route(1)
	r.askAll([]*conn{another, c})
	if n := next.Status().Counts.Asked; n <= before.Asked {
		t.Errorf("asked %d, before %d", n, before.Asked)
	}
	r.eventually("the next process has learnt", func() bool { return next.Status().Counts.Learnt > 0 })
	if !owner.fleet.Status().Changed.Equal(changed) {
		t.Error("the peer has noticed")
	}
	if next.objects.CheckBuild(newServed(t)) == nil {
		t.Error("programs are taken for those that read other maps")
	}
}

// successor goes on with what an edge has, as another process does.
func (e *edge) successor(t testing.TB) (next *Fleet) {
	t.Helper()
	given := copies(t, e.fleet)
	netnstest.In(t, e.ns, func() error {
		o, err := FromDescriptors(given)
		if err == nil {
			err = o.CheckBuild(e.served)
		}
		if err == nil {
			next, err = Open(o, nil, slog.New(slog.DiscardHandler))
		}
		return err
	})
	t.Cleanup(func() { next.Close() })
	return next
}

// copies are descriptors for another process.
func copies(t testing.TB, f *Fleet) map[string]int {
	t.Helper()
	all := map[string]int{}
	for name, fd := range f.Descriptors() {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = copied
	}
	return all
}

// TestAnotherBuild: other programs take the place of those in service when they know the peers. If that
// does not happen, the others stay. A build before the maps of UDP flows is replaced like any other.
func TestAnotherBuild(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(false)
	r.serve(0, both[0])
	c := r.dial(0, both[0])
	r.route(1)
	r.askAll([]*conn{c})
	asker, owner := r.edges[1], r.edges[0]
	r.eventually("edge 2 has learnt", func() bool { return asker.fleet.Status().Counts.Learnt > 0 })
	changed, options := owner.fleet.Status().Changed, asker.fleet.options
	for _, refused := range []bool{true, false} {
		var next *Fleet
		netnstest.In(t, asker.ns, func() error {
			old := copies(t, asker.fleet)
			for _, name := range []string{bpf.FleetMapFleetFlows, bpf.FleetMapFleetMoved} {
				unix.Close(old[fdMap+name])
				delete(old, fdMap+name)
			}
			before, err := FromDescriptors(old)
			if err != nil {
				return err
			}
			o, err := Load(asker.served)
			if err == nil {
				next, err = Open(o, before, slog.New(slog.DiscardHandler))
			}
			return err
		})
		t.Cleanup(func() { next.Close() })
		if a, b := len(next.Descriptors()), len(asker.fleet.Descriptors()); a != b-2 {
			t.Errorf("%d descriptors for the process after the next, want %d", a, b-2)
		}
		if refused {
			if err := next.Release(); err != nil {
				t.Fatal(err)
			}
			r.askAll([]*conn{c})
			continue
		}
		if err := next.Set(options); err != nil {
			t.Fatal(err)
		}
		if err := asker.fleet.Release(); err != nil {
			t.Fatal(err)
		}
		if s := next.Status(); !s.Peers[0].Alive || s.Off != "" || s.Counts.Asked+s.Counts.Straight != 0 {
			t.Errorf("%+v", s)
		}
		r.askAll([]*conn{c})
		if c := next.Status().Counts; c.Asked != 0 || c.Straight == 0 {
			t.Errorf("the other programs know what was learnt: %+v", c)
		}
	}
	if !owner.fleet.Status().Changed.Equal(changed) {
		t.Error("the peer has noticed")
	}
}

// TestDevice: the backplane's device goes and comes back.
func TestDevice(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(false)
	e := r.edges[1]
	r.link(e.ns, "back", netlink.LinkSetDown)
	r.eventually("the device is known to be down", func() bool { s := e.fleet.Status(); return s.Off != "" && !s.Peers[0].Alive })
	r.link(e.ns, "back", netlink.LinkSetUp)
	r.eventually("it is up again", func() bool { s := e.fleet.Status(); return s.Off == "" && s.Peers[0].Alive })
	r.serve(0, both[0])
	c := r.dial(0, both[0])
	r.route(1)
	r.askAll([]*conn{c})
	if err := e.fleet.Set(Options{Device: "none", Local: e.local[false], Peers: e.fleet.options.Peers}); err == nil {
		t.Error("a device that is not there will do")
	}
	if err := e.fleet.Set(Options{}); err != nil || e.fleet.Status().Off == "" || len(e.fleet.Status().Peers) != 0 {
		t.Errorf("%v, %+v", err, e.fleet.Status())
	}
	if err := c.ask(); err == nil {
		t.Error("without peers the conn lives on")
	}
	for _, p := range []*attached{&e.fleet.objects.ask, &e.fleet.objects.take} {
		if len(p.links.Links) != 0 {
			t.Errorf("without peers there are links: %v", p.links)
		}
	}
}
