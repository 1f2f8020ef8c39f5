package integration

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestEveryLimitAtItsBound reaches each limit on the number of live conns and flows: all up to the
// bound are served and go on, one beyond is refused and counted with its reason, and there is
// room again once one has ended, or a reload has raised the limit. Of a load that is half beyond the
// limit and half not, the first half is refused, and nobody in the other one notices.
func TestEveryLimitAtItsBound(t *testing.T) {
	t.Parallel()
	const most = 5
	for _, c := range []struct {
		network, key, verdict string
		perClient             bool // another client of the route is not limited
	}{
		{"tcp", "max_conns = %d", "max_conns", false},
		{"tcp", "max_conns_per_client = %d", "max_conns_per_client", true},
		{"tcp", "origins = [{ address = \"10.0.0.5:4711\", max_conns = %d }]", "origin_max_conns", false},
		{"udp", "max_conns = %d", "max_conns", false},
		{"udp", "max_conns_per_client = %d", "max_conns_per_client", true},
		{"udp", "max_flows = %d", "max_flows", false},
		{"udp", "max_flows_per_client = %d", "max_flows_per_client", true},
		{"udp", "origins = [{ address = \"10.0.0.5:4711\", max_conns = %d }]", "origin_max_conns", false},
	} {
		t.Run(c.network+" "+c.verdict, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.client.output(t, "ip", "address", "add", "198.51.100.3/24", "dev", "edge0")
			r.origin.serve(t, "10.0.0.5:4711", echo)
			r.origin.answer(t, "10.0.0.5:4711", func(question []byte) []byte { return question })
			file := func(limit int) string {
				key, origins := fmt.Sprintf(c.key, limit), ""
				if c.verdict != "origin_max_conns" {
					origins = "origins = [\"10.0.0.5:4711\"]\n"
				}
				return fmt.Sprintf("[route.few]\nprotocol = %q\nprefixes = [%q]\n%s%s\n[route.many]\nprotocol = %[1]q\nprefixes = [\"203.0.113.0/24\"]\norigins = [\"10.0.0.5:4711\"]\n",
					c.network, servedV4, origins, key)
			}
			p := r.edge.serveWith(t, file(most))
			f := newFamily(t, p)
			asks := func(conn net.Conn) bool {
				conn.SetDeadline(time.Now().Add(patience))
				if c.network == "udp" { // what is refused is answered by ICMP, or not at all
					conn.SetDeadline(time.Now().Add(silence))
				}
				return hearBack(conn, "hello") == nil
			}
			try := func(from, dst string) (net.Conn, bool) {
				conn, err := r.client.tryDial(c.network, from, dst+":4711")
				if err != nil {
					return nil, false
				}
				t.Cleanup(func() { conn.Close() })
				return conn, asks(conn)
			}
			other := func() (net.Conn, bool) {
				if c.perClient {
					return try("198.51.100.3", dstV4)
				}
				return try("", "203.0.113.7")
			}
			var held []net.Conn
			for n := range most {
				conn, served := try(clientV4, dstV4)
				if !served {
					t.Fatalf("number %d of %d is refused", n+1, most)
				}
				for range 9 { // a flow whose client has shown that it is there does not give way to others
					asks(conn)
				}
				held = append(held, conn)
			}
			limited := func() uint64 { return p.status(t).route(t, "few").Ended[c.network][c.verdict] }
			if _, served := try(clientV4, dstV4); served || limited() != 1 {
				t.Errorf("one beyond: served %v, and %d counted as %s", served, limited(), c.verdict)
			}

			const load = 10
			var all sync.WaitGroup
			all.Go(func() {
				for range load {
					if _, served := try(clientV4, dstV4); served {
						t.Error("one beyond the limit is served while others come")
					}
				}
			})
			for range most { // also within the limit, where it is one for each client
				if _, served := other(); !served {
					t.Error("the limit reaches others")
				}
			}
			all.Wait()
			for _, conn := range held {
				if !asks(conn) {
					t.Error("one within the limit does not go on")
				}
			}
			if got := p.status(t).route(t, "few"); limited() != 1+load || got.Limited != 1+load {
				t.Errorf("%d counted as %s, and %d as limited, want %d", limited(), c.verdict, got.Limited, 1+load)
			}

			if c.network == "tcp" {
				held[0].Close()
				eventually(t, "there is room again", func() bool { _, served := try(clientV4, dstV4); return served })
				return
			}
			p.write(t, file(most+1))
			f.reload(t)
			if _, served := try(clientV4, dstV4); !served {
				t.Error("a reload that allows one more does not serve it")
			}
		})
	}
}

// TestNewConnsPerClient opens conns and flows as fast as it can from one client: those within its rate are
// served, those beyond are refused and counted, and another client is served each time. After a second
// there is room again. Then a reload removes the limit.
func TestNewConnsPerClient(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			const rate, tries = 3, 30
			r := newRig(t)
			r.edge.answerAllErrors(t)
			r.client.output(t, "ip", "address", "add", "198.51.100.3/24", "dev", "edge0")
			r.origin.serve(t, "10.0.0.5:4711", echo)
			r.origin.answer(t, "10.0.0.5:4711", func(question []byte) []byte { return question })
			file := fmt.Sprintf("[route.few]\nprotocol = %q\nprefixes = [%q]\norigins = [\"10.0.0.5:4711\"]\n", network, servedV4)
			p := r.edge.serveWith(t, file+fmt.Sprintf("new_conns_per_second_per_client = %d\n", rate))
			f := newFamily(t, p)
			heard := func(from string, within time.Duration) bool {
				conn, err := r.client.tryDial(network, from, dstV4+":4711")
				if err != nil {
					return false
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(within))
				return hearBack(conn, "hello") == nil
			}
			mayBeRefused := patience
			if network == "udp" { // a flow that is refused gets no answer
				mayBeRefused = 2 * silence
			}
			var all sync.WaitGroup
			var answered atomic.Int32
			began := time.Now()
			for range tries {
				all.Go(func() {
					if heard(clientV4, mayBeRefused) {
						answered.Add(1)
					}
				})
			}
			all.Wait()
			served := int(answered.Load())
			if took := time.Since(began).Seconds(); served < rate || float64(served) > rate*(1+took)+1 {
				t.Errorf("%d of %d are served in %.1f s, with %d a second", served, tries, took, rate)
			}
			if got := p.status(t).route(t, "few"); got.Limited != uint64(tries-served) || got.Ended[network]["new_conns_per_second_per_client"] != got.Limited {
				t.Errorf("%d of %d are counted as limited: %v", got.Limited, tries-served, got.Ended)
			}
			if !heard("198.51.100.3", patience) {
				t.Fatal("another client is refused")
			}
			eventually(t, "there is room again", func() bool { return heard(clientV4, mayBeRefused) })
			p.write(t, file)
			f.reload(t)
			for range 3 * rate {
				if !heard(clientV4, patience) {
					t.Error("a conn is refused after the limit was removed")
				}
			}
		})
	}
}
