package integration

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// meter counts the bytes of some conns at their reading ends.
type meter struct {
	mu    sync.Mutex
	conns []*atomic.Int64
}

// read reads a conn to its end, or until the test has ended.
func (m *meter) read(conn net.Conn) {
	n := new(atomic.Int64)
	m.mu.Lock()
	m.conns = append(m.conns, n)
	m.mu.Unlock()
	for piece := make([]byte, 64<<10); ; {
		k, err := conn.Read(piece)
		if n.Add(int64(k)); err != nil {
			return
		}
	}
}

// rates are the bytes a second of each conn for a while from now on, in MiB.
func (m *meter) rates(span time.Duration) (rates []float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, began := make([]int64, len(m.conns)), time.Now()
	for i, n := range m.conns {
		before[i] = n.Load()
	}
	time.Sleep(span)
	for i, n := range m.conns {
		rates = append(rates, float64(n.Load()-before[i])/time.Since(began).Seconds()/(1<<20))
	}
	return rates
}

// pour writes until its peer is gone.
func pour(conn net.Conn) {
	for piece := make([]byte, 64<<10); ; {
		if _, err := conn.Write(piece); err != nil {
			return
		}
	}
}

// TestBandwidth limits conns that send as fast as they can, in each direction, each conn or all of the
// route together. The limit holds from their first second on, after an upgrade, and as a reload
// changes it; without it the conns are fast again. Conns that share get equal parts.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	const conns = 4
	for _, key := range []string{"bandwidth", "route_bandwidth"} {
		for _, direction := range []string{"to client", "to origin"} {
			t.Run(key+" "+direction, func(t *testing.T) {
				t.Parallel()
				r, m := newRig(t), &meter{}
				file := func(limit string) string {
					return fmt.Sprintf("[route.web]\nprotocol = \"tcp\"\nprefixes = [%q]\norigins = [\"10.0.0.5\"]\n%s = %q\n", servedV4, key, limit)
				}
				p := r.edge.serveWith(t, file("2MiB/s"))
				f := newFamily(t, p)
				atOrigin, atClient := pour, m.read
				if direction == "to origin" {
					atOrigin, atClient = m.read, pour
				}
				r.origin.serve(t, "10.0.0.5:4711", atOrigin)
				for _, conn := range r.client.dialMany(t, dstV4+":4711", conns) {
					go atClient(conn) // until the end of the test, which closes it
				}
				expect := func(what string, limit float64) {
					t.Helper()
					if key == "route_bandwidth" {
						limit /= conns
					}
					time.Sleep(time.Second)
					rates := m.rates(3 * time.Second)
					sum := 0.0
					for _, rate := range rates {
						sum += rate
					}
					t.Logf("%s: %.3f MiB/s, in all %.3f (limit %.3f each)", what, rates, sum, limit)
					if len(rates) != conns || sum > 1.1*conns*limit {
						t.Errorf("%s: %d conns get %.3f MiB/s in all, want at most %.3f", what, len(rates), sum, conns*limit)
					}
					if least := slices.Min(rates); least < 0.4*limit { // on a machine that is busy otherwise
						t.Errorf("%s: a conn gets %.3f MiB/s of %.3f", what, least, limit)
					}
				}
				expect("at first", 2)
				f.upgrade(t)
				expect("after an upgrade", 2)
				p.write(t, file("1MiB/s"))
				f.reload(t)
				expect("half of it", 1)
				p.write(t, file(""))
				f.reload(t)
				eventually(t, "it is fast again without a limit", func() bool {
					return slices.Max(m.rates(silence)) > 10
				})
			})
		}
	}
}

// TestThrottledConnsEndInOrder sends a stream each way over conns with a limit. Each side closes after
// its stream, and what arrives is what was sent, whatever else meets the conn: a reader that
// stalls, keepalive, a drain of the route.
func TestThrottledConnsEndInOrder(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{`bandwidth = "2MiB/s"`, `route_bandwidth = "4MiB/s"`, "bandwidth = \"3MiB/s\"\nroute_bandwidth = \"4MiB/s\""} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			const size = 3 << 20
			r := newRig(t)
			r.origin.serve(t, "10.0.0.5:4711", func(conn net.Conn) {
				read := make(chan string)
				go func() { read <- digest(conn) }()
				io.Copy(conn, stream(1, size))
				conn.(*net.TCPConn).CloseWrite()
				<-read
			})
			heard := make(chan string, 3)
			r.origin.serve(t, "10.0.0.5:4712", func(conn net.Conn) { // speaks after it has heard all
				heard <- digest(conn)
				io.Copy(conn, stream(1, size))
			})
			p := r.edge.serveWith(t, fmt.Sprintf("[route.web]\nprotocol = \"tcp\"\nprefixes = [%q]\norigins = [\"10.0.0.5\"]\nkeepalive = \"1s\"\nproxy_protocol = \"off\"\n%s\n", servedV4, limit))
			want := digest(stream(1, size))
			both, half, stalled := r.client.dial(t, "tcp", dstV4+":4711"), r.client.dial(t, "tcp", dstV4+":4712"), r.client.dial(t, "tcp", dstV4+":4711")
			if got := anyport(t, "drain", "--route", "web", "--socket", p.socket); got.status != 0 {
				t.Fatalf("drain: %+v", got)
			}
			for _, conn := range []net.Conn{both, half, stalled} {
				conn.SetDeadline(time.Now().Add(3 * patience))
				go func() { // ends with the stream
					io.Copy(conn, stream(1, size))
					conn.(*net.TCPConn).CloseWrite()
				}()
			}
			began := time.Now()
			if got := <-heard; got != want {
				t.Errorf("the origin hears %s, want %s", got, want)
			}
			for _, conn := range []net.Conn{both, half, stalled} { // stalled waits for the others
				if got := digest(conn); got != want {
					t.Errorf("the client hears %s, want %s", got, want)
				}
			}
			t.Logf("%d bytes each way in %v", size, time.Since(began))
			eventually(t, "all conns are closed in order", func() bool {
				s := p.status(t).route(t, "web")
				return s.ConnsActive == 0 && s.Ended["tcp"]["closed"] == 3
			})
		})
	}
}
