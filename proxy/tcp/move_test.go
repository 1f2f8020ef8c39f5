package tcp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
)

// twins are two proxies for the same route.
func twins(t *testing.T, r *config.Route) (a, b *proxy) { return serve(t, r), serve(t, r) }

// move has the conns of p served by next. meanwhile is told of each batch on its way;
// after an error they stay.
func (p *proxy) move(next *proxy, meanwhile func(batch []tcp.Conn) error) (err error) {
	p.t.Helper()
	over := make(chan error, 1)
	p.moves <- tcp.Move{
		Give: func(batch []tcp.Conn) error {
			if len(batch) > tcp.MoveBatch {
				p.t.Errorf("%d conns at once, want at most %d", len(batch), tcp.MoveBatch)
			}
			if err := meanwhile(batch); err != nil {
				return err
			}
			next.arrivals <- copied(p.t, batch)
			return nil
		},
		Over: func(err error) { over <- err },
	}
	return <-over
}

func quietly([]tcp.Conn) error { return nil }

// copied are conns as another process gets them, with file descriptors of its own.
func copied(t *testing.T, conns []tcp.Conn) (arrived []tcp.Conn) {
	body, err := json.Marshal(conns)
	if err == nil {
		err = json.Unmarshal(body, &arrived)
	}
	for i, c := range conns {
		for _, fd := range c.FDs {
			own, dupErr := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			arrived[i].FDs, err = append(arrived[i].FDs, own), errors.Join(err, dupErr)
		}
		err = errors.Join(err, arrived[i].Check())
	}
	if err != nil {
		t.Error(err)
	}
	return arrived
}

// TestMove moves a conn to and fro between the steps of its life.
func TestMove(t *testing.T) {
	addr, conns := accepting(t)
	a, b := twins(t, forward(addr))
	moves := 0
	move := func() {
		t.Helper()
		if err := a.move(b, func([]tcp.Conn) error { moves++; return nil }); err != nil {
			t.Fatal(err)
		}
		a, b = b, a
	}
	for _, clientFirst := range []bool{true, false} {
		first, second := a.pair(conns)
		if !clientFirst {
			first, second = second, first
		}
		for range 3 {
			move()
			say(t, first, "how are you?")
			hear(t, second, "how are you?")
			say(t, second, "fine")
			move()
			hear(t, first, "fine")
		}
		say(t, first, "good bye")
		first.CloseWrite()
		move()
		hear(t, second, "good bye")
		hearFIN(t, second)
		move()
		say(t, second, "good bye, too")
		move()
		hear(t, first, "good bye, too")
		second.CloseWrite()
		hearFIN(t, first)
		r := a.ends(route.Closed)
		if sum := r.ToOrigin + r.ToClient; sum != 3*(12+4)+8+13 || !r.Origin.IsValid() {
			t.Errorf("recorded %+v, of %d bytes", r, sum)
		}
	}
	if want := 2 * (3*2 + 3); moves != want {
		t.Errorf("the conns went %d times, want %d", moves, want)
	}
	if n := len(a.records) + len(b.records); n != 0 {
		t.Errorf("%d conns more have ended", n)
	}
}

// TestMoveMeanwhile: what its ends do while a conn is on its way, or not taken in the
// end, is not lost.
func TestMoveMeanwhile(t *testing.T) {
	for _, test := range []struct {
		name    string
		do      func(client, origin *net.TCPConn)
		then    func(client, origin *net.TCPConn)
		verdict route.Verdict
	}{
		{"bytes", func(client, origin *net.TCPConn) { say(t, client, "from here"); say(t, origin, "from there") },
			func(client, origin *net.TCPConn) {
				hear(t, client, "from there")
				hear(t, origin, "from here")
				client.CloseWrite()
				hearFIN(t, origin)
				origin.Close()
				hearFIN(t, client)
			}, route.Closed},
		{"both FINs", func(client, origin *net.TCPConn) { client.CloseWrite(); origin.CloseWrite() },
			func(client, origin *net.TCPConn) { hearFIN(t, client); hearFIN(t, origin) }, route.Closed},
		{"RST of the client", func(client, _ *net.TCPConn) { reset(client) },
			func(_, origin *net.TCPConn) { hearRST(t, origin) }, route.ResetByClient},
		{"bytes, then RST of the origin", func(_, origin *net.TCPConn) { say(t, origin, "sorry"); reset(origin) },
			func(client, _ *net.TCPConn) { hear(t, client, "sorry"); hearRST(t, client) }, route.ResetByOrigin},
	} {
		for _, refused := range []error{nil, errors.New("not today")} {
			t.Run(test.name, func(t *testing.T) {
				addr, conns := accepting(t)
				a, b := twins(t, forward(addr))
				client, origin := a.pair(conns)
				say(t, client, "hello")
				hear(t, origin, "hello")
				err := a.move(b, func([]tcp.Conn) error {
					test.do(client, origin)
					return refused
				})
				if !errors.Is(err, refused) {
					t.Fatal(err)
				}
				test.then(client, origin)
				if refused != nil {
					b = a
				}
				b.ends(test.verdict)
			})
		}
	}
}

// TestMoveStalled: bytes that a reader does not take go with the conn, in their pipes.
func TestMoveStalled(t *testing.T) {
	addr, conns := accepting(t)
	a, b := twins(t, forward(addr))
	client, origin := a.pair(conns)
	ends := []*net.TCPConn{client, origin}
	var sent [2]int64
	for i, c := range ends {
		sent[i] = stuff(t, c, byte(i))
		c.CloseWrite()
	}
	piped := 0
	for range 3 {
		err := a.move(b, func(batch []tcp.Conn) error {
			piped += batch[0].Ways[0].Piped + batch[0].Ways[1].Piped
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		a, b = b, a
	}
	if piped == 0 {
		t.Error("the pipes were empty")
	}
	var both sync.WaitGroup
	for i, c := range ends {
		both.Go(func() {
			got, err := sum(c)
			want, _ := sum(stream(byte(1-i), sent[1-i]))
			if got != want || err != nil {
				t.Errorf("read %s, %v; want %s", got, err, want)
			}
		})
	}
	both.Wait()
	a.ends(route.Closed)
}

// stuff writes a stream until nobody takes any more, and returns how many bytes were taken.
func stuff(t *testing.T, c *net.TCPConn, seed byte) (n int64) {
	t.Helper()
	words, b := stream(seed, 1<<30), make([]byte, 64<<10)
	for {
		c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		io.ReadFull(words, b)
		written, err := c.Write(b)
		n += int64(written)
		if err != nil {
			return n
		}
	}
}

// TestMoveDialling: a dial goes on where it was, with the origins that are left. The
// header is the first that an origin gets.
func TestMoveDialling(t *testing.T) {
	r := forward(closed(t), silent(t), origin(t, echo))
	r.Balance, r.Connect, r.ProxyProtocol = config.First, 2*time.Second, config.ProxyV1
	a, b := twins(t, r)
	c := a.dial()
	await(t, func() bool { return a.route.Origins.Origins[1].Active() == 1 }, "the second origin is not asked")
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
	for i, want := range []uint64{0, 1, 1} {
		if got := b.route.Origins.Origins[i].Total(); got != want {
			t.Errorf("origin %d was asked %d times where the conn came to, want %d", i, got, want)
		}
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
	active, asked := p.route.Stats.Active(config.TCP), p.route.Origins.Origins[0].Active()
	if listed != want || int(active) != want || int(asked) != want {
		t.Errorf("%d conns are listed, %d are counted against the route, %d against the origin; want %d", listed, active, asked, want)
	}
}

// aged has the next conn move as one that has lived for two hours, and been idle for one.
func aged(t *testing.T, a, b *proxy, change func(c *tcp.Conn)) {
	t.Helper()
	err := a.move(b, func(batch []tcp.Conn) error {
		for i := range batch {
			batch[i].Begun, batch[i].Last = batch[i].Begun.Add(-2*time.Hour), batch[i].Last.Add(-time.Hour)
			change(&batch[i])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMoveKeepsTime(t *testing.T) {
	r := forward(origin(t, echo))
	r.Idle = time.Hour + time.Second
	a, b := twins(t, r)
	c := a.dial()
	say(t, c, "hello")
	hear(t, c, "hello")
	aged(t, a, b, func(*tcp.Conn) {})
	for page := range b.live.Conns {
		if page[0].Age < 2*time.Hour || page[0].Idle < time.Hour {
			t.Errorf("listed %+v", page[0])
		}
	}
	hearRST(t, c)
	if r := b.ends(route.IdleTimedOut); r.Took < 2*time.Hour || r.Took > 3*time.Hour {
		t.Errorf("recorded %+v", r)
	}
}

// TestMoveOfGoneRoute: a conn whose route is not there lives on, up to its drain_timeout,
// of which some may be over.
func TestMoveOfGoneRoute(t *testing.T) {
	for _, test := range []struct {
		name  string
		drain time.Duration
		cut   time.Duration // before now; 0: its route was in service
	}{
		{"gone just now", short, 0},
		{"gone before", time.Hour, time.Minute},
		{"gone long before", time.Hour, 24 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr, conns := accepting(t)
			r := forward(addr)
			r.Idle, r.Drain = 24*time.Hour, test.drain
			other := forward(addr)
			other.Name = "other"
			a, b := serve(t, r), serve(t, other)
			client, origin := a.pair(conns)
			aged(t, a, b, func(c *tcp.Conn) {
				if test.cut > 0 {
					c.Cut = time.Now().Add(-test.cut)
				}
			})
			hearRST(t, client)
			hearRST(t, origin)
			if r := b.ends(route.DrainTimedOut); r.Route != "test" || r.Origin.String() != addr {
				t.Errorf("recorded %+v", r)
			}
			if n := b.live.Unrouted.Active(config.TCP); n != 0 {
				t.Errorf("%d conns are left", n)
			}
		})
	}
}

// TestMoveDiallingOfGoneRoute: what the route owed the origin is told, also where the route
// is not there.
func TestMoveDiallingOfGoneRoute(t *testing.T) {
	addr, conns := accepting(t)
	other := forward(addr)
	other.Name = "other"
	a, b := serve(t, forward(addr)), serve(t, other)
	client, origin := a.pair(conns)
	aged(t, a, b, func(c *tcp.Conn) { c.Dialling, c.Header = true, config.ProxyV1 })
	from, dst := client.LocalAddr().(*net.TCPAddr), client.RemoteAddr().(*net.TCPAddr)
	hear(t, origin, fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n", from.Port, dst.Port))
	reset(client)
	b.ends(route.ResetByClient)
}

// TestMoveAfterRetire: that its route has gone is known of a conn where it comes to.
func TestMoveAfterRetire(t *testing.T) {
	addr, conns := accepting(t)
	r := forward(addr)
	a := serve(t, r)
	client, _ := a.pair(conns)
	other := forward(addr)
	other.Name = "other"
	b := serve(t, other)
	a.live.Swap(table{other}, []*config.Route{other})
	err := a.move(b, func(batch []tcp.Conn) error {
		if left := time.Until(batch[0].Cut); left <= 0 || left > r.Drain {
			t.Errorf("%v are left, want up to %v", left, r.Drain)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	reset(client)
	b.ends(route.ResetByClient)
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

// TestConversationsMoved holds conversations through proxies between which their conns go
// to and fro all the time.
func TestConversationsMoved(t *testing.T) {
	const workers = 4
	conversations := soak(400, 10_000)
	tidy(t)
	first := rand.Uint64()
	t.Log("seeds from", first)
	var all sync.WaitGroup
	moved := make([]int, workers)
	for worker := range uint64(workers) {
		addr, conns := accepting(t)
		a, b := twins(t, forward(addr))
		stop := shuttle(a, b, &moved[worker])
		all.Go(func() {
			defer stop()
			for n := worker; n < conversations; n += workers {
				if err := compare(first+n, addr, a.addr, conns); err != nil {
					t.Errorf("seed %d: %v", first+n, err)
				}
			}
		})
	}
	all.Wait()
	if t.Log("conns moved so often:", moved); uint64(slices.Min(moved)) < conversations/workers {
		t.Error("conns have not moved often enough")
	}
}

// shuttle moves the conns from one to the other and back until stop is called, and counts
// them.
func shuttle(from, to *proxy, moved *int) (stop func()) {
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ended by stop
		defer close(stopped)
		for ; ; from, to = to, from {
			if err := from.move(to, func(batch []tcp.Conn) error { *moved += len(batch); return nil }); err != nil {
				from.t.Error(err)
			}
			select {
			case <-over:
				return
			default:
			}
		}
	}()
	return func() {
		close(over)
		<-stopped
	}
}
