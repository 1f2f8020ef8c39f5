package integration

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// faultRig is a fleet that takes tables while conns come, streams run, and etcd and the hosts are ill-treated.
type faultRig struct {
	*tableRig
	proxies  []*proxy
	speakers [][]*speaker // of each edge
	next     int          // the table that is pushed next
	last     string       // the one that was pushed last
}

// talkRoute is a route whose conns outlive all tables.
var talkRoute = fmt.Sprintf("[route.talk]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\nports = [%d]\norigins = [\"%s:%[1]d\"]\n", talkPort, fleetOrigin)

// newFaultRig starts that many edges with the first of the tables, and then the streams.
func newFaultRig(t *testing.T, edges, tables, streams int) *faultRig {
	t.Helper()
	r := &faultRig{tableRig: newTableRig(t, edges, "--quota-backend-bytes", fmt.Sprint(4<<20))}
	for n := range tables {
		r.center.both(t, fmt.Sprintf("%s:%d", fleetOrigin, 4000+n), named(fmt.Sprint(n)))
	}
	(&peerRig{origin: r.center}).talker(t, fmt.Sprintf("%s:%d", fleetOrigin, talkPort))
	for n := range r.edges {
		r.proxies = append(r.proxies, r.launch(t, n, ""))
	}
	r.put(t)
	r.arrives(t)
	for n := range r.edges {
		var all []*speaker
		for stream := range streams {
			conn := r.edges[n].dial(t, "tcp", fmt.Sprintf("192.0.2.%d:%d", 1+stream, talkPort))
			conn.SetDeadline(time.Time{})
			all = append(all, hold(conn, uint64(100*n+stream), 20*time.Millisecond, 0))
		}
		r.speakers = append(r.speakers, all)
	}
	return r
}

// table is the next one.
func (r *faultRig) table() string {
	r.next++
	return fleetTable(4000+r.next-1) + talkRoute
}

// put makes the next table current, without looking at the hosts.
func (r *faultRig) put(t *testing.T) {
	t.Helper()
	r.etcd.serial = r.fleet(t).Serial // others have moved the pointer
	r.last = r.etcd.push(t, r.table())
}

// arrives waits until all edges serve the last table.
func (r *faultRig) arrives(t *testing.T) {
	t.Helper()
	r.etcd.serial = r.fleet(t).Serial
	for n := range r.edges {
		r.takes(t, n, r.last)
		for _, dst := range []string{"192.0.2.7", "192.0.2.207"} {
			if got := r.asks(n, dst); got != fmt.Sprint(r.next-1) {
				t.Errorf("%s serves table %q, want %d", r.edges[n].Name, got, r.next-1)
			}
		}
	}
}

// pushes runs a whole push, and does something meanwhile.
func (r *faultRig) pushes(t *testing.T, meanwhile func()) {
	t.Helper()
	p := r.push(t, r.table(), "--hold", "0s", "--stage", "1,100%", "--json")
	p.expect(t, `"event":"serves"`)
	meanwhile()
	r.ends(t, p, 0)
	r.last = r.fleet(t).Table
}

// restarted kills etcd during a push.
func (r *faultRig) restarted(t *testing.T, _ int) {
	r.pushes(t, func() {
		r.etcd.kill(t)
		r.etcd.start(t)
	})
}

// behind has an edge miss tables, and all revisions since are compacted: then its watch, which asks for the next one,
// is refused.
func (r *faultRig) behind(t *testing.T) {
	r.put(t)
	r.etcd.compact(t)
	r.etcd.kill(t) // else the contact of before goes on
	r.etcd.start(t)
}

// cutOff is behind of an edge whose packets do not come to the etcd.
func (r *faultRig) cutOff(t *testing.T, edge int) {
	h := r.edges[edge]
	h.output(t, "sh", "-c", "nft add table inet cut && nft add chain inet cut out '{ type filter hook output priority 0; }' && nft add rule inet cut out tcp dport 2379 drop")
	r.behind(t)
	h.output(t, "nft", "delete", "table", "inet", "cut")
}

// stopped is behind of an edge whose process does nothing.
func (r *faultRig) stopped(t *testing.T, edge int) {
	r.proxies[edge].signal(t, syscall.SIGSTOP)
	r.behind(t)
	r.proxies[edge].signal(t, syscall.SIGCONT)
}

// full has an etcd that takes nothing more refuse a push, and take it afterwards.
func (r *faultRig) full(t *testing.T, _ int) {
	r.etcd.fill(t)
	r.etcd.kill(t) // the alarm outlives it
	r.etcd.start(t)
	p := r.push(t, fleetTable(4000))
	r.ends(t, p, 1)
	p.expect(t, "etcdctl alarm disarm")
	r.etcd.empty(t)
	eventually(t, "all hosts report again", func() bool { return len(r.fleet(t).Hosts) == len(r.edges) })
	r.pushes(t, func() {})
}

// bad pushes a table that each host refuses: only one has it, and that one serves the table before.
func (r *faultRig) bad(t *testing.T, _ int) {
	p := r.push(t, fleetTable(4000)+cutOff, "--hold", "1h")
	r.ends(t, p, 1)
	p.expect(t, "stage 1/3 (1): ", " refused the table: ")
	p.expect(t, "all hosts are back on table "+r.last[:12])
	r.settled(t, r.last)
	r.put(t)
}

// TestFleetFaults pushes tables while conns come to each edge and streams run through it, and kills etcd, lets it
// forget revisions that an edge has not seen, fills it, and pushes tables that are bad: no conn fails or gets an older
// table than one before it, no byte of a stream is lost, and each table arrives on all edges. ANYPORT_SOAK=1: 100 of them.
func TestFleetFaults(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	needTool(t, "nft")
	const streams = 10
	tables, every := soak(10, 100), soak(2, 4)
	r := newFaultRig(t, 2, tables, streams)
	conns := r.load(t)
	faults := []func(*testing.T, int){r.restarted, r.cutOff, r.stopped, r.full, r.bad}
	for n := 0; r.next < tables; n++ {
		if n%every == 0 {
			round := n / every
			faults[round%len(faults)](t, round/len(faults)%len(r.edges))
		} else {
			r.put(t)
		}
		r.arrives(t)
	}
	for n, count := range conns() {
		var bytes int64
		for _, s := range r.speakers[n] {
			s.hang()
			<-s.done
			if s.err != nil {
				t.Errorf("%s: a stream: %v", r.edges[n].Name, s.err)
			}
			bytes += s.sent.Load() + s.heard.Load()
		}
		t.Logf("%s: %d tables, %d conns, %d streams with %d KB", r.edges[n].Name, r.next, count, streams, bytes>>10)
	}
}

// load asks each edge one conn after the other, and checks that none fails or is served by an older table than one
// before. It returns what ends it, and counts the conns of each edge.
func (r *faultRig) load(t *testing.T) (end func() []int) {
	stop, counts := make(chan struct{}), make([]int, len(r.edges))
	var running sync.WaitGroup
	end = sync.OnceValue(func() []int { close(stop); running.Wait(); return counts })
	t.Cleanup(func() { end() })
	for n := range r.edges {
		running.Go(func() { // ends with end
			last := 0
			for ; ; counts[n]++ {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				got := r.asks(n, []string{"192.0.2.7", "192.0.2.207"}[counts[n]%2])
				table, err := strconv.Atoi(strings.TrimSpace(got))
				if err != nil || table < last {
					t.Errorf("%s: conn %d got %q after table %d", r.edges[n].Name, counts[n], got, last)
					return
				}
				last = table
			}
		})
	}
	return end
}
