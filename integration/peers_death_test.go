package integration

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPeersDeath: of a process that dies only its own conns are lost, although for a while the router still sends
// its host packets of conns that other hosts have. What
// asks ends after the local routes, so that the kernel has no reason to reset anything.
func TestPeersDeath(t *testing.T) {
	t.Parallel()
	for name, bpffs := range map[string]bool{"not pinned": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2, 3}, bpffs: bpffs})
			for round := range soak(1, 10) {
				f.die(t, f.edges[round%len(f.edges)])
			}
			for _, e := range f.edges {
				e.proxy.signal(t, syscall.SIGTERM)
				e.proxy.signal(t, syscall.SIGINT) // does not wait for conns
				e.proxy.wait(t)
			}
		})
	}
}

// die kills the process of an edge while conns of all edges talk fast, and starts it again.
func (f *peerRig) die(t *testing.T, dead *peerEdge) {
	t.Helper()
	load := newPeerLoadAt(t, f.client, soak(60, 150), 20*time.Millisecond)
	f.rehash(t, f.edges...)
	load.settle(t)
	own := map[string]bool{}
	for _, client := range dead.clients(t) {
		own[client] = true
	}
	if len(own) == 0 || len(own) == len(load.long) {
		t.Fatalf("%d of %d conns are of %s", len(own), len(load.long), dead.Name)
	}
	dead.proxy.signal(t, syscall.SIGKILL)
	dead.proxy.wait(t)
	time.Sleep(500 * time.Millisecond) // until the routers notice
	f.hash(t, f.without(dead.n)...)
	load.settle(t)
	for _, talk := range load.long {
		client, _, _ := strings.Cut(talk.name, " ")
		if err := talk.lost(); err != nil && !own[client] {
			t.Errorf("the conn of another host than %s was lost: %s: %v", dead.Name, talk.name, err)
		}
	}
	dead.proxy.process = dead.proxy.restart(t)
	f.hash(t, f.edges...)
	f.awaitPeers(t, len(f.edges)-1)
	load.end(t)
}
