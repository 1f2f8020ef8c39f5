package upgrade

import (
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/tcp"
	"anyport/steering"
)

// sharer is a process on trial without conns.
type sharer struct {
	held    chan []string
	segment chan int
}

func (s sharer) Count() ShareCounts                    { return ShareCounts{Stuck: 7} }
func (s sharer) GiveBack(func([]tcp.Conn) error) error { return nil }
func (s sharer) Held(fds map[string]int)               { s.held <- slices.Sorted(maps.Keys(fds)) }
func (s sharer) Follow(segment int)                    { s.segment <- segment }
func isOpen(fd int) bool                               { _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); return err == nil }
func expect(t *testing.T, c *handover.Conn, k handover.Kind) handover.Message {
	t.Helper()
	m, err := c.Expect(k)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestHold: a process on trial holds what it was offered last, and the spare program of the first offer; until the
// process before takes the conns back.
func TestHold(t *testing.T) {
	const spare = steering.Spare + "program"
	old, p := met(t, Offer{FDs: map[string]int{"link": memfd(t, 1), "gone": memfd(t, 2), spare: memfd(t, 3)}, Trial: true, File: "hash"})
	first := maps.Clone(p.FDs)
	s, over := sharer{make(chan []string, 1), make(chan int, 1)}, make(chan error, 1)
	go func() { over <- p.ServeTrial(s, "1.2", memfd(t, 4)) }()
	m := expect(t, old, handover.Prepared)
	m.CloseFDs()
	if err := (Offer{FDs: map[string]int{"link": memfd(t, 5)}, Draining: []string{"web"}, Segment: 1300}).sendAs(handover.Hold, old); err != nil {
		t.Fatal(err)
	}
	if held := <-s.held; !slices.Equal(held, []string{"link", spare}) {
		t.Errorf("it holds %v", held)
	}
	if segment := <-s.segment; segment != 1300 {
		t.Errorf("it is to tell clients %d", segment)
	}
	if err := old.Send(handover.Count, nil); err != nil {
		t.Fatal(err)
	}
	var c ShareCounts
	if err := expect(t, old, handover.Counted).Decode(&c); err != nil || c.Stuck != 7 {
		t.Errorf("counted %+v, %v", c, err)
	}
	for name, want := range map[string]bool{"link": false, "gone": false, spare: true} {
		if got := isOpen(first[name]); got != want {
			t.Errorf("the first %s is open: %v", name, got)
		}
	}
	if !p.Trial || p.File != "hash" || !slices.Equal(p.Draining, []string{"web"}) {
		t.Errorf("it holds %+v", p.Offer)
	}
	if err := old.Send(handover.GiveBack, nil); err != nil {
		t.Fatal(err)
	}
	if held := <-s.held; len(held) > 0 {
		t.Errorf("after the trial it holds %v", held)
	}
	expect(t, old, handover.Counted)
	if err := <-over; err != nil || len(p.FDs) > 0 || isOpen(first[spare]) {
		t.Errorf("after the trial: %v, %v", err, p.FDs)
	}
}

// TestHoldBrokenOff: at the end of the stream what is held stays held, and a process that lives is not taken for dead.
func TestHoldBrokenOff(t *testing.T) {
	old, p := met(t, Offer{FDs: map[string]int{"link": memfd(t, 1)}, Trial: true})
	p.peer.Close() // Died would wait for this very process
	over := make(chan error, 1)
	go func() { over <- p.ServeTrial(sharer{}, "1.2", memfd(t, 4)) }()
	m := expect(t, old, handover.Prepared)
	m.CloseFDs()
	old.Close()
	if err := <-over; err != io.EOF || len(p.FDs) != 1 || p.Died() {
		t.Errorf("%v, %v, died %v", err, p.FDs, p.Died())
	}
}

// TestPassOnRefused: a part of the process that fails before it serves leaves the conns where they are.
func TestPassOnRefused(t *testing.T) {
	old, young, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	passed := make(chan error, 1)
	go func() { passed <- PassOn(old, Offer{FDs: map[string]int{"link": memfd(t, 1)}}, nil, 0) }() // nil: GiveBack would panic
	p, err := Meet(young)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	young.Close()
	if err := <-passed; err != io.EOF {
		t.Errorf("passed on: %v", err)
	}
}

// TestPassOnTells: what goes on within a process that was on trial knows what the dead process knew of a fleet.
func TestPassOnTells(t *testing.T) {
	old, young, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	passed := make(chan error, 1)
	left := Offer{FDs: map[string]int{"link": memfd(t, 1)}, PeersChanged: time.Hour}
	go func() { passed <- PassOn(old, left, sharer{}, 7) }()
	p, err := Meet(young)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ReceiveFlows(0); err != nil {
		t.Fatal(err)
	}
	if ahead, err := p.Ready(); err != nil || ahead != (Ahead{ConnFiles: 7, PeersChanged: time.Hour}) {
		t.Errorf("told %+v, %v", ahead, err)
	}
	if n, err := p.ReceiveConns(func([]tcp.Conn) {}); n != 0 || err != nil {
		t.Errorf("%d conns, %v", n, err)
	}
	if err := <-passed; err != nil {
		t.Errorf("passed on: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
