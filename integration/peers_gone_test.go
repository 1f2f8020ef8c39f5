package integration

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPeersGone: the clients of a host that is gone, kernel and all, are reset by the other hosts, and no other
// client is. ANYPORT_SOAK=1 makes it 20 rounds.
func TestPeersGone(t *testing.T) {
	t.Parallel()
	f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2, 3}})
	for _, h := range []*host{f.router, f.origin} { // a cable that is cut takes them away otherwise
		h.sysctl(t, map[string]string{"net/ipv6/conf/all/keep_addr_on_down": "1"})
	}
	for round := range soak(1, 20) {
		f.lose(t, f.edges[round%len(f.edges)])
	}
}

// lose has an edge be gone while conns of all edges talk, and come back.
func (f *peerRig) lose(t *testing.T, gone *peerEdge) {
	t.Helper()
	load := newPeerLoad(t, f.client, soak(45, 90))
	f.rehash(t, f.edges...)
	load.settle(t)
	own := load.clientsOf(t, gone)
	f.cable(t, gone, "down")
	begun := time.Now()
	gone.proxy.signal(t, syscall.SIGKILL)
	gone.proxy.wait(t)
	f.hash(t, f.without(gone.n)...)
	after := load.reset(t, own, begun)
	t.Logf("%s: %d conns were reset after %v to %v, half of them by %v", gone.Name, len(after),
		after[0], after[len(after)-1], after[len(after)/2])
	load.settle(t)
	f.cable(t, gone, "up")
	gone.proxy.process = gone.proxy.restart(t)
	f.hash(t, f.edges...)
	f.awaitPeers(t, len(f.edges)-1)
	load.settle(t)
	if lost := len(load.end(t)); lost != len(own) {
		t.Errorf("%d conns are lost in the end, of which %d are of the host that was gone", lost, len(own))
	}
}

// cable cuts all links of an edge, or mends them. The edge keeps its addresses.
func (f *peerRig) cable(t *testing.T, e *peerEdge, to string) {
	t.Helper()
	for _, h := range []*host{f.router, f.backplane, f.origin} {
		h.output(t, "ip", "link", "set", e.Name, to)
	}
}

// reset waits until all conns of these clients are reset, and says how long after the beginning each was. No
// other conn may be lost meanwhile.
func (l *peerLoad) reset(t *testing.T, own map[string]bool, begun time.Time) (after []time.Duration) {
	t.Helper()
	seen := map[string]bool{}
	eventually(t, "the conns of the host that is gone end", func() bool {
		for _, talk := range l.long {
			client, _, _ := strings.Cut(talk.name, " ")
			err := talk.lost()
			switch {
			case err == nil || seen[client]:
				continue
			case !own[client]:
				t.Errorf("the conn of another host was lost: %s: %v", talk.name, err)
			case !errors.Is(err, syscall.ECONNRESET):
				t.Errorf("%s was not reset: %v", talk.name, err)
			default:
				after = append(after, time.Since(begun).Round(time.Millisecond))
			}
			seen[client] = true
		}
		return len(after) >= len(own) || t.Failed()
	})
	if slices.Sort(after); len(after) == 0 {
		t.FailNow()
	}
	return after
}
