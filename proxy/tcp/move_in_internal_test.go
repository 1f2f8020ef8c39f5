package tcp

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"anyport/proxy/buffers"
	"anyport/proxy/route"
	"anyport/proxy/wheel"
)

// A file that is not a pipe ends its conn, and no other.
func TestArriveWithoutPipe(t *testing.T) {
	l, c, client, origin := relayed(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	in := Conn{Client: client1, Dst: origin1, Origin: origin1, FDs: []int{int(c.ends[0].fd), int(c.ends[1].fd), int(null.Fd()), int(null.Fd())}}
	in.Ways[route.ToClient].Piped = 5
	var ended []route.Verdict
	l.routes.SetRecording(route.Recording{To: func(r route.Record) { ended = append(ended, r.Verdict) }, Share: 1})
	l.addArrival(travelled(t, in))
	if !slices.Equal(ended, []route.Verdict{route.RelayFailed}) || l.connCount != 0 || l.pipes.Lent() != 0 {
		t.Errorf("%v, and %d conns and %d pipes are left", ended, l.connCount, l.pipes.Lent())
	}
	for _, f := range []*os.File{client, origin} {
		if _, err := f.Write([]byte("x")); err != nil { // the test has the sockets, too
			t.Error(err)
		}
	}
}

// TestAdoptWhileOneHasEnded: as long as one loop lives, conns have somewhere to go.
func TestAdoptWhileOneHasEnded(t *testing.T) {
	for ended := range 2 {
		var loops []*loop
		for range 2 {
			l, _ := loopAndListener(t)
			loops = append(loops, l)
		}
		loops[ended].mailbox.End()
		other := loops[1-ended]
		over := make(chan error, 1)
		go func() { over <- other.run() }() // ends when it has drained
		var conns []Conn
		for range 4 {
			_, c, _, _ := relayed(t)
			in := Conn{Client: client1, Dst: origin1, Origin: origin1, FDs: []int{int(c.ends[0].fd), int(c.ends[1].fd)}}
			in.Timeouts.Drain = time.Hour
			conns = append(conns, *travelled(t, in))
		}
		distribute(loops, conns)
		n := 0
		other.mailbox.Do(func() {
			n = other.connCount
			other.startDrain()
			for _, c := range other.slots {
				other.endConn(c, route.DrainTimedOut)
			}
		})
		if n != len(conns) {
			t.Errorf("with loop %d ended the other has %d conns, want %d", ended, n, len(conns))
		}
		if err := <-over; err != nil {
			t.Error(err)
		}
	}
}

func TestCheckConn(t *testing.T) {
	good := func() Conn {
		return Conn{Client: client1, Dst: netip.MustParseAddrPort("[2001:db8::1]:443"), Origin: origin1, FDs: []int{3, 4}}
	}
	for _, test := range []struct {
		name   string
		change func(c *Conn)
		want   string // in the error; "": none
	}{
		{"a conn", func(*Conn) {}, ""},
		{"with a pipe", func(c *Conn) { c.Ways[1].Piped, c.FDs = 1, append(c.FDs, 5, 6) }, ""},
		{"with a full buffer", func(c *Conn) { c.Ways[0].Held = make([]byte, buffers.Size) }, ""},
		{"no client", func(c *Conn) { c.Client = netip.AddrPort{} }, "cannot be"},
		{"no origin", func(c *Conn) { c.Origin = netip.AddrPort{} }, "cannot be"},
		{"port 0", func(c *Conn) { c.Dst = netip.AddrPortFrom(c.Dst.Addr(), 0) }, "cannot be"},
		{"IPv4 in IPv6", func(c *Conn) { c.Dst = netip.MustParseAddrPort("[::ffff:192.0.2.1]:80") }, "cannot be"},
		{"more than a buffer", func(c *Conn) { c.Ways[0].Held = make([]byte, buffers.Size+1) }, "cannot be"},
		{"less than nothing", func(c *Conn) { c.Ways[0].Piped = -1 }, "cannot be"},
		{"FIN before its time", func(c *Conn) { c.Ways[1].Finished = true }, "cannot be"},
		{"no file descriptors", func(c *Conn) { c.FDs = nil }, "file descriptors"},
		{"none for its pipe", func(c *Conn) { c.Ways[0].Piped = 1 }, "file descriptors"},
		{"some to spare", func(c *Conn) { c.FDs = append(c.FDs, 5) }, "file descriptors"},
	} {
		c := good()
		test.change(&c)
		switch err := c.Check(); {
		case (err == nil) != (test.want == ""):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		case err != nil && !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// A conn that was quiet since before the loop began has no more time for that.
func TestDeadlineOfOlderConns(t *testing.T) {
	for _, timeout := range []time.Duration{time.Second, time.Hour, wheel.Never} {
		if at := addTimeout(-time.Minute, timeout); at != timeout-time.Minute {
			t.Errorf("%v after -1m: %v", timeout, at)
		}
	}
	if at := addTimeout(-time.Minute, 0); at != wheel.Never {
		t.Errorf("no timeout: %v", at)
	}
}
