package integration

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPeersDeath: of a process that dies only its own conns are lost, although for a while the router still sends
// its host packets of conns that other hosts have. With pins, the dead process' host goes on asking; without, what
// asks ends after the local routes, so that the kernel has no reason to reset anything.
func TestPeersDeath(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	for name, bpffs := range map[string]bool{"pinned": true, "not pinned": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2, 3}, bpffs: bpffs})
			for round := range soak(1, 10) {
				f.die(t, f.edges[round%len(f.edges)])
			}
			f.stop(t)
		})
	}
}

// stop ends all processes: those that were started again do not end with the test.
func (f *peerRig) stop(t *testing.T) {
	t.Helper()
	for _, e := range f.edges {
		e.proxy.signal(t, syscall.SIGTERM)
		e.proxy.signal(t, syscall.SIGINT) // does not wait for conns
		e.proxy.wait(t)
	}
}

// die kills the process of an edge while conns of all edges talk fast, and starts it again.
func (f *peerRig) die(t *testing.T, dead *peerEdge) {
	t.Helper()
	load := newPeerLoadAt(t, f.client, soak(60, 150), 20*time.Millisecond)
	f.rehash(t, f.edges...)
	load.settle(t)
	own := load.clientsOf(t, dead)
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

// TestPeersPins: what a dead process has pinned for its peers ends with the start of one that has none, and by
// unload.
func TestPeersPins(t *testing.T) {
	t.Parallel()
	f := newPeerRig(t, 2)
	f.key = newPeerKey(t)
	e := f.edges[0]
	e.withBPFFS(t)
	f.serve(t, e)
	pinned := func() string {
		list := e.spawn(t, exec.Command("ls", "-AR", pinRoot))
		list.wait(t)
		return list.String()
	}
	die := func() {
		e.proxy.signal(t, syscall.SIGKILL)
		e.proxy.wait(t)
		if got := pinned(); !strings.Contains(got, "fleet_link_ask_peers_") || !strings.Contains(got, "fleet_link_take_asked_") {
			t.Errorf("a dead process has pinned:\n%s", got)
		}
	}
	die()
	withPeers := f.file(e)
	f.key = ""
	e.proxy.write(t, f.file(e))
	e.proxy.process = e.proxy.restart(t)
	if got := pinned(); strings.Contains(got, "fleet_") {
		t.Errorf("a process without peers has pinned:\n%s", got)
	}
	e.proxy.signal(t, syscall.SIGTERM)
	e.proxy.wait(t)
	e.proxy.write(t, withPeers)
	e.proxy.process = e.proxy.restart(t)
	die()
	e.spawn(t, exec.Command(program, "unload", "-c", e.proxy.file)).expect(t, "fleet_link_ask_peers_")
	e.leavesNoPins(t)
	e.proxy.process = e.proxy.restart(t)
	e.proxy.signal(t, syscall.SIGTERM)
	e.proxy.wait(t)
	e.leavesNoPins(t)
}
