package integration

import (
	"bytes"
	"syscall"
	"testing"
	"time"
)

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
	want := p.answersOf(t, "game")
	for range 50 { // nobody asks anyport meanwhile
		asker(t)(conn)
		want++
	}
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
