package steering

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/steering/program"
	"anyport/steering/table"
)

// TestDoorsOfAnotherBuild: a door stays open when another program takes the place of the one that
// opened it, although the routes have other numbers there; what was used stays used.
func TestDoorsOfAnotherBuild(t *testing.T) {
	before, after := knockConfig(), knockConfig()
	after.Routes[0], after.Routes[2] = after.Routes[2], after.Routes[0]
	old := open(t, before)
	client, other := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8")
	if err := old.OpenDoor(before.Routes[0], client); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if fresh, err := old.ClaimNonce([16]byte{1}, now.Add(time.Minute), now); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	ofAnotherBuild(old)
	loaded := newPreloaded(t)
	next := inherit(t, after, withPreloaded(t, old, loaded))
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	j := newJudge(t, next)
	for from, want := range map[netip.Addr]table.Verdict{client: table.Steer, other: table.Drop} {
		if got := j.verdict(t, config.TCP, netip.MustParseAddrPort("192.0.2.9:22"), from); got != want {
			t.Errorf("%s: %s, want %s", from, got, want)
		}
	}
	doors, err := next.Doors()
	if err != nil || len(doors) != 1 || doors[0].Route != "ssh" || doors[0].Client != client {
		t.Errorf("doors: %+v %v", doors, err)
	}
	if fresh, err := next.ClaimNonce([16]byte{1}, now.Add(time.Minute), now); err != nil || fresh {
		t.Errorf("a nonce that the process before has accepted: %t %v", fresh, err)
	}
}

// TestDoorsClosedWithTheirRoute: a route that comes back has no door open from before.
func TestDoorsClosedWithTheirRoute(t *testing.T) {
	cfg := knockConfig()
	s := open(t, cfg)
	client := netip.MustParseAddr("198.51.100.7")
	if err := s.OpenDoor(cfg.Routes[0], client); err != nil {
		t.Fatal(err)
	}
	replace(t, s, &config.Config{Routes: cfg.Routes[1:]})
	replace(t, s, cfg)
	if doors, err := s.Doors(); err != nil || len(doors) > 0 {
		t.Errorf("doors: %+v %v", doors, err)
	}
}

// TestWatchDoors: user space hears of each door that a sequence opens, also of one that was opened
// before it listened.
func TestWatchDoors(t *testing.T) {
	s := open(t, knockConfig())
	k := newKnocks(t, s)
	sequence := func(client string) {
		for _, port := range []string{"7000", "8000", "9000"} {
			k.send(t, "192.0.2.1:"+port, netip.MustParseAddrPort(client))
		}
	}
	sequence("198.51.100.7:4711")
	ctx, cancel := context.WithCancel(context.Background())
	opened, ended := make(chan string, 10), make(chan error)
	go func() {
		ended <- s.WatchDoors(ctx, func(route string, client netip.Addr) { opened <- route + " " + client.String() })
	}()
	sequence("198.51.100.8:4711")
	for _, want := range []string{"ssh 198.51.100.7", "ssh 198.51.100.8"} {
		select {
		case got := <-opened:
			if got != want {
				t.Errorf("heard of %s, want %s", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("nobody told of %s", want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestKnockRows: user space looks for a client in the rows where the program has put it.
func TestKnockRows(t *testing.T) {
	s := open(t, knockConfig())
	k := newKnocks(t, s)
	for _, test := range []struct{ dst, client string }{
		{"192.0.2.1:7000", "198.51.100.7:1"}, {"[2001:db8:1::1]:7000", "[2001:db8:f::7]:1"},
	} {
		client := netip.MustParseAddrPort(test.client)
		k.send(t, test.dst, client)
		now, err := s.knockTime()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.knocksSeen(s.numbers["ssh"], client.Addr(), now); got != 1 {
			t.Errorf("%s has knocked %d times, want 1", client, got)
		}
	}
	// A network that fills its row: its next client is in the other one.
	for i := range 32 {
		client := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
		k.judge.judge(t, program.Packet{Protocol: config.TCP, Dst: netip.MustParseAddrPort("192.0.2.1:7000"), Client: netip.AddrPortFrom(client, 1)})
		now, _ := s.knockTime()
		if got := s.knocksSeen(s.numbers["ssh"], client, now); got != 1 {
			t.Errorf("%s has knocked %d times, want 1", client, got)
		}
	}
}
