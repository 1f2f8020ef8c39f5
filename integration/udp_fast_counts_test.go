package integration

import (
	"bytes"
	"net"
	"syscall"
	"testing"
	"time"
)

// alone has the kernel forward exchanges of a flow, while nobody asks anyport anything.
func alone(t *testing.T, conn net.Conn, n int) uint64 {
	t.Helper()
	for range n {
		asker(t)(conn)
	}
	return uint64(n)
}

// answersOf is how many datagrams of a route's origins are counted.
func (p *proxy) answersOf(t *testing.T, route string) uint64 {
	t.Helper()
	return p.status(t).route(t, route).Datagrams["to_client"]["forwarded"]
}

// TestFastPathCountsOutliveKill: what the kernel has forwarded is counted by the next process, too, though nobody
// has asked the one that was killed.
func TestFastPathCountsOutliveKill(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	section, _ := r.edge.pinnedSteering(t)
	r.origin.answer(t, "10.0.0.5:4711", bytes.Clone)
	p := r.edge.launchAs(t, anyportRun, section+gameFile)
	running := p.process
	running.expect(t, "msg=serving")
	conn := r.client.dial(t, "udp", dstV4+":4711")
	p.goFast(t, asker(t), conn)
	want := p.answersOf(t, "game") + alone(t, conn, 50)
	time.Sleep(5 * time.Second) // counters are saved
	running.signal(t, syscall.SIGKILL)
	running.wait(t)
	running = p.restart(t)
	running.expect(t, "adopted flows", "flows=1")
	if got := p.answersOf(t, "game"); got != want {
		t.Errorf("%d answers are counted after the crash, of %d", got, want)
	}
	running.signal(t, syscall.SIGTERM)
	running.signal(t, syscall.SIGINT) // at once
	running.wait(t)
	p.unload(t)
}

// TestFastPathSourceMoves: datagrams of a socket that flows share leave from another address, since the route to the
// origin says so. What the kernel has forwarded from the one before is counted.
func TestFastPathSourceMoves(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	r.edge.run(t, "ip addr add 10.0.0.9/24 dev origin0")
	p := r.serveGame(t, "proxy_protocol = \"spp\"\n") // the origin echoes the header, too
	conn := r.client.dial(t, "udp", dstV4+":4711")
	p.goFast(t, asker(t), conn)
	want := p.answersOf(t, "game") + alone(t, conn, 50)
	r.edge.run(t, "ip route replace 10.0.0.0/24 dev origin0 proto kernel scope link src 10.0.0.9")
	p.reloads(t)
	want += alone(t, conn, 1)
	if got := p.answersOf(t, "game"); got != want {
		t.Errorf("%d answers are counted, of %d", got, want)
	}
	p.goFast(t, asker(t), conn)
}
