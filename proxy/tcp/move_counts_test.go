package tcp_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
)

// TestMoveDialling: a dial goes on where it was, with the origins that are left. The
// header is the first that an origin gets.
func TestMoveDialling(t *testing.T) {
	r := forward(closed(t), silent(t), origin(t, echo))
	r.Balance, r.Connect, r.ProxyProtocol = config.First, 2*time.Second, config.ProxyV1
	a, b := twins(t, r)
	c := a.dial()
	await(t, func() bool { return a.route.Origins().Origins[1].Active() == 1 }, "the second origin is not asked")
	say(t, c, "hello")
	err := a.move(b, func(batch []tcp.Conn) error {
		if len(batch) != 1 || !batch[0].Dialling || len(batch[0].Tried) != 1 {
			t.Errorf("%+v moves", batch)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	client, dst := c.LocalAddr().(*net.TCPAddr), c.RemoteAddr().(*net.TCPAddr)
	hear(t, c, fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\nhello", client.Port, dst.Port))
	c.Close()
	b.ends(route.Closed)
	for i, want := range []uint64{1, 1, 1} { // by both together
		if got := a.route.Origins().Origins[i].Total() + b.route.Origins().Origins[i].Total(); got != want {
			t.Errorf("origin %d was asked %d times, want %d", i, got, want)
		}
	}
	if a, b := a.route.Stats.Totals().Arrived, b.route.Stats.Totals().Arrived; a != 1 || b != 0 {
		t.Errorf("%d conns arrived where the conn began, %d where it came to", a, b)
	}
}

// TestMoveFails: where the other process takes some of the conns alone, all go on, and
// each is counted where it is.
func TestMoveFails(t *testing.T) {
	const clients = tcp.MoveBatch + 300
	r := forward(origin(t, echo))
	r.MaxConns, r.MaxConnsPerClient = clients, clients
	a, b := twins(t, r)
	var all []*net.TCPConn
	for range clients {
		all = append(all, a.dial())
	}
	talk := func() {
		for _, c := range all {
			say(t, c, "still there?")
			hear(t, c, "still there?")
		}
	}
	talk()
	taken, full := 0, errors.New("no file descriptor is left")
	err := a.move(b, func(batch []tcp.Conn) error {
		if taken > 0 {
			return full
		}
		taken = len(batch)
		return nil
	})
	if err != full || taken == 0 || taken == clients {
		t.Fatalf("%v, and %d were taken", err, taken)
	}
	talk()
	counted(t, a, clients-taken)
	counted(t, b, taken)
	if err := a.move(b, quietly); err != nil {
		t.Fatal(err)
	}
	talk()
	counted(t, a, 0)
	counted(t, b, clients)
	b.refused()
	if v := (<-b.records).Verdict; v != route.OverMaxConns {
		t.Errorf("%v, want %v", v, route.OverMaxConns)
	}
	all[0].Close()
	b.ends(route.Closed)
	if _, err := io.Copy(b.dial(), strings.NewReader("there is room again")); err != nil {
		t.Error(err)
	}
}

func counted(t *testing.T, p *proxy, want int) {
	t.Helper()
	listed := 0
	for page := range p.live.Conns {
		listed += len(page)
	}
	active, asked := p.route.Stats.Active(config.TCP), p.route.Origins().Origins[0].Active()
	if listed != want || int(active) != want || int(asked) != want {
		t.Errorf("%d conns are listed, %d are counted against the route, %d against the origin; want %d", listed, active, asked, want)
	}
}

// TestHandOverAndMove is an upgrade: listeners, then conns. The old loops end with the last.
func TestHandOverAndMove(t *testing.T) {
	tidy(t)
	r := forward(origin(t, echo))
	a := serve(t, r)
	b := serve(t, r)
	var all []*net.TCPConn
	for range 50 {
		c := a.dial()
		say(t, c, "hello")
		hear(t, c, "hello")
		all = append(all, c)
	}
	a.handOver(func() error { return nil })
	if err := a.move(b, func(batch []tcp.Conn) error {
		for _, c := range batch {
			if !c.Cut.IsZero() {
				t.Error("that the process drains would cut a conn in the next one")
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	<-a.done
	for _, c := range all {
		say(t, c, "still there")
		hear(t, c, "still there")
		c.Close()
		b.ends(route.Closed)
	}
}
