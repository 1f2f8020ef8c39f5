package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
)

// waitLong has an edge never give up a conn for want of an answer.
func (e *edge) waitLong(t *testing.T) {
	t.Helper()
	var b bpf.FleetBackplane
	err := e.fleet.objects.backplane.Lookup(uint32(0), &b)
	b.Patience = uint64(time.Hour)
	if err == nil {
		err = e.fleet.objects.backplane.Put(uint32(0), b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// standing is what the program of an edge knows of a peer.
func (e *edge) standing(t *testing.T, of netip.Addr) (alive uint8) {
	t.Helper()
	var p bpf.FleetPeer
	if err := e.fleet.objects.peers.Lookup(bpfmaps.AddrWords(of), &p); err != nil {
		t.Fatal(err)
	}
	return p.Alive
}

// needs reports whether an edge waits for the word of a peer.
func (e *edge) needs(t *testing.T, peer netip.Addr) bool {
	t.Helper()
	var p bpf.FleetPeer
	var n bpf.FleetNeeded
	if err := errors.Join(e.fleet.objects.peers.Lookup(bpfmaps.AddrWords(peer), &p), e.fleet.objects.needed.Lookup(uint32(0), &n)); err != nil {
		t.Fatal(err)
	}
	return n.Bits>>p.Bit&1 == 1
}

// greetedBy has an edge take another one for one that greets, until the test ends.
func (e *edge) greetedBy(ctx context.Context, other netip.Addr) {
	for ctx.Err() == nil {
		e.fleet.mu.Lock()
		if m := e.fleet.members.all[other]; m != nil {
			m.heard = time.Now()
		}
		e.fleet.mu.Unlock()
		sleep(ctx, helloInterval/10)
	}
}

// TestDenied: a conn that all peers say they do not have is reset, and not for want of an answer. The conn of one
// that does not speak, because its processes get no CPU, lives on, and so do those of the others.
func TestDenied(t *testing.T) {
	t.Parallel()
	for name, six := range map[string]bool{"backplane IPv4": false, "backplane IPv6": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 4)
			r.join(six)
			r.serve(0, both[0])
			dead, live := []*conn{r.dial(0, both[0])}, []*conn(nil)
			for _, at := range both {
				r.serve(1, at)
				r.serve(2, at)
				live = append(live, r.dial(1, at), r.dial(2, at))
			}
			slow, asker := r.edges[1].fleet, r.edges[3]
			r.askAll(slices.Concat(dead, live))
			for _, c := range dead {
				r.edges[0].kill(t, c)
			}
			slow.setting.Lock()
			slow.halt()
			slow.setting.Unlock()
			asker.waitLong(t)
			r.route(3)
			go asker.greetedBy(t.Context(), r.edges[1].local[six])
			for _, c := range dead {
				r.eventually("a conn that nobody has is reset", func() bool {
					r.askAll(live)
					_, err := c.Write([]byte("?"))
					return err != nil
				})
			}
			if c := asker.fleet.Status().Counts; c.Denied == 0 || c.GivenUp != 0 {
				t.Errorf("%+v", c)
			}
			var all sync.WaitGroup
			for _, c := range live {
				all.Go(func() {
					if err := c.askSlowly(silentFor / 7); err != nil { // longer than who is switched off is waited for
						t.Errorf("a conn of edge %d: %v", c.edge, err)
					}
				})
			}
			all.Wait()
			if asker.standing(t, r.edges[1].local[six]) == quiet || !asker.needs(t, r.edges[1].local[six]) {
				t.Error("a host is silent whose kernel answers")
			}
			if c := asker.fleet.Status().Counts; c.Denied > uint64(len(dead)) {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestSilent: of a host that is cut off the others know so before its greetings are too old, and the two that are
// left do not wait for its word; when it is back, all is as before.
func TestSilent(t *testing.T) {
	t.Parallel()
	r := newRig(t, 3)
	r.join(false)
	r.serve(0, both[0])
	r.serve(1, both[0])
	c := r.dial(0, both[0])
	r.route(2)
	r.askAll([]*conn{c})
	asker, gone := r.edges[2], r.edges[0].local[false]
	r.eventually("edge 3 has learnt", func() bool { return asker.fleet.Status().Counts.Learnt > 0 })
	r.eventually("it is known that its kernel answers", func() bool {
		var h bpf.FleetHeard
		return asker.fleet.objects.heard.Lookup(bpfmaps.AddrWords(gone), &h) == nil && h.Answered > 0
	})
	asker.waitLong(t)
	r.cut(0)
	r.eventually("it is silent", func() bool { return asker.standing(t, gone) == quiet && !asker.needs(t, gone) })
	r.mend(0)
	r.eventually("it is back", func() bool { return asker.standing(t, gone) == 1 })
	r.askAll([]*conn{c})
	r.cut(0)
	r.eventually("its conn is reset", func() bool {
		time.Sleep(50 * time.Millisecond)
		_, err := c.Write([]byte("?"))
		return err != nil
	})
	if c := asker.fleet.Status().Counts; c.Denied == 0 || c.GivenUp != 0 {
		t.Errorf("%+v", c)
	}
}

// TestFlap: a host that is cut off from the backplane for a moment, or whose device is down, resets no conn of
// another, though its kernel then forgets the MAC addresses of all peers.
func TestFlap(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(false)
	asker := r.edges[1]
	var all []*conn
	for _, at := range both {
		r.serve(0, at)
		all = append(all, r.dial(0, at))
	}
	r.route(1)
	r.askAll(all)
	for what, flap := range map[string]struct{ begin, end func() }{
		"cut off":     {func() { r.cut(1) }, func() { r.mend(1) }},
		"device down": {func() { r.link(asker.ns, "back", netlink.LinkSetDown) }, func() { r.link(asker.ns, "back", netlink.LinkSetUp) }},
	} {
		flap.begin()
		r.eventually("it is known that there is no way", func() bool { return !asker.fleet.Status().Peers[0].Alive })
		var asked sync.WaitGroup
		for _, c := range all {
			asked.Go(func() {
				if err := c.askSlowly(helloInterval / 4); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		time.Sleep(helloInterval)
		flap.end()
		asked.Wait()
	}
	if c := asker.fleet.Status().Counts; c.Denied+c.GivenUp != 0 {
		t.Errorf("%+v", c)
	}
}

// cut cuts an edge off from the backplane; mend is the opposite.
func (r *rig) cut(n int)  { r.link(r.hub, fmt.Sprint("p", n+1), netlink.LinkSetDown) }
func (r *rig) mend(n int) { r.link(r.hub, fmt.Sprint("p", n+1), netlink.LinkSetUp) }

// TestHark walks through what is heard of two peers.
func TestHark(t *testing.T) {
	a, now := netip.MustParseAddr("10.9.0.2"), 100*time.Second
	b := a.Next()
	var m members
	at := time.Now()
	m.set([]netip.Addr{a, b}, at)
	m.hello(a, greeting{clock: at}, at)
	m.hello(b, greeting{clock: at}, at)
	answered := time.Duration(1)
	pass := func(heard ...netip.Addr) {
		for _, p := range []netip.Addr{a, b} {
			m.probe(p)
		}
		now += probeInterval
		for _, p := range heard {
			m.listen(p, now, answered)
		}
		m.hark(now)
	}
	expect := func(what string, silent, needed uint64) {
		t.Helper()
		got := uint64(0)
		for i, p := range m.addrs() {
			if m.all[p].silent {
				got |= 1 << i
			}
		}
		if n := m.needed(at); got != silent || n != needed {
			t.Errorf("%s: silent %b, needed %b; want %b, %b", what, got, n, silent, needed)
		}
	}
	passes := func(n int, heard ...netip.Addr) {
		for range n {
			pass(heard...)
		}
	}
	const long = int(silentFor / probeInterval)
	passes(long, a, b)
	expect("both are heard", 0, 3)
	pass(b)
	if m.all[a].quiet {
		t.Error("one lost answer makes a host quiet")
	}
	passes(long-2, b)
	expect("not for long enough", 0, 3)
	if !m.all[a].quiet || m.all[b].quiet {
		t.Errorf("quiet: %v, %v", m.all[a].quiet, m.all[b].quiet)
	}
	pass(b)
	expect("one is silent", 1, 2)
	pass(a, b)
	expect("it is heard again", 0, 3)
	passes(2 * long)
	expect("this host is cut off", 0, 3)
	pass(a, b)
	now += 2 * silentFor
	m.listen(b, now, answered)
	m.hark(now)
	expect("this process has stood still", 0, 3)
	passes(long, b)
	expect("silent again", 1, 2)
	m.hello(a, greeting{clock: at}, at)
	expect("a greeting alone changes nothing that the program does not know", 1, 2)
	answered = 0
	m = members{}
	m.set([]netip.Addr{a, b}, at)
	expect("nobody was heard yet", 0, 3)
	m.hello(b, greeting{clock: at}, at)
	passes(2*long, b)
	expect("a build that does not answer is never silent", 0, 3)
	at = at.Add(aliveFor)
	m.all[b].heard = at
	expect("who was never heard is not waited for long", 0, 2)
	m.bye(b, greeting{clock: at}, at)
	expect("it stops", 0, 0)
}
