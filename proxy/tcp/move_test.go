package tcp_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
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

// move moves the conns of p to next. meanwhile is called with each batch on its way;
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
		if sum := r.Sent[route.ToOrigin].Bytes + r.Sent[route.ToClient].Bytes; sum != 3*(12+4)+8+13 || !r.Origin.IsValid() {
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
