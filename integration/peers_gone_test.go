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
	onlySoak(t)
	t.Parallel()
	f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2, 3}})
	for round := range soak(1, 20) {
		f.lose(t, f.edges[round%len(f.edges)])
	}
	f.stop(t)
}

// lose has an edge be gone while conns of all edges talk, and come back.
func (f *peerRig) lose(t *testing.T, gone *peerEdge) {
	t.Helper()
	load := newPeerLoad(t, f.client, soak(45, 90))
	f.rehash(t, f.edges...)
	load.settle(t)
	own := load.clientsOf(t, gone)
	f.cut(t, gone)
	begun := time.Now()
	gone.proxy.signal(t, syscall.SIGKILL)
	gone.proxy.wait(t)
	f.hash(t, f.without(gone.n)...)
	after := load.reset(t, own, begun)
	t.Logf("%s: %d conns were reset after %v to %v, half of them by %v", gone.Name, len(after),
		after[0], after[len(after)-1], after[len(after)/2])
	load.settle(t)
	f.mend(t, gone)
	gone.proxy.process = gone.proxy.restart(t)
	f.hash(t, f.edges...)
	f.awaitPeers(t, len(f.edges)-1)
	load.settle(t)
	if lost := len(load.end(t)); lost != len(own) {
		t.Errorf("%d conns are lost in the end, of which %d are of the host that was gone", lost, len(own))
	}
}

// cut has nothing that an edge sends reach the clients or the other edges, nor anything the edge from those.
func (f *peerRig) cut(t *testing.T, e *peerEdge) { f.link(t, e, "down", "add") }

// mend is the opposite of cut.
func (f *peerRig) mend(t *testing.T, e *peerEdge) { f.link(t, e, "up", "del") }

func (f *peerRig) link(t *testing.T, e *peerEdge, state, blackhole string) {
	t.Helper()
	f.backplane.output(t, "ip", "link", "set", e.Name, state)
	for _, family := range []string{"-4", "-6"} {
		f.router.output(t, "ip", family, "rule", blackhole, "iif", e.Name, "priority", "1", "blackhole")
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
