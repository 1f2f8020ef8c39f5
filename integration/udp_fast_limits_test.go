package integration

import (
	"net"
	"testing"
	"time"
)

// keepUp has flows ask until a moment, all in turn, and notes which are answered. What is refused asks again.
func keepUp(until time.Time, conns []net.Conn) (answered int) {
	for time.Now().Before(until) {
		answered = 0
		for _, conn := range conns {
			if heard(conn, "again", silence) {
				answered++
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return answered
}

// TestFastPathWithinRate: new_conns_per_second is about new flows. It does not refuse those that the kernel has
// forwarded for longer than they may be idle, when all of them come to user space again.
func TestFastPathWithinRate(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	p := r.serveGame(t, "new_conns_per_second = 1\nudp_idle_timeout = \"5s\"\n")
	var conns []net.Conn
	for range 8 { // the bucket has two tokens at most, and a reserve
		conns = append(conns, r.client.dial(t, "udp", dstV4+":4711"))
	}
	eventually(t, "the kernel forwards all flows", func() bool {
		return keepUp(time.Now().Add(time.Second), conns) == len(conns) && p.status(t).route(t, "game").Fast.Flows == len(conns)
	})
	if n := keepUp(time.Now().Add(7*time.Second), conns); n != len(conns) {
		t.Fatalf("the kernel forwards, and %d of %d flows are answered", n, len(conns))
	}
	p.reloads(t)
	for i, conn := range conns {
		if !heard(conn, "after a reload", patience) {
			t.Errorf("flow %d of %d is refused after a reload", i, len(conns))
		}
	}
}

// TestFastPathThroughDoor: a flow that began after a knock lives on when the door is shut, as long as it is not
// idle, also across a reload.
func TestFastPathThroughDoor(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	p := r.serveGame(t, "ports = [4711]\nknock = [7000, 1234, 9000]\nknock_window = \"2s\"\nudp_idle_timeout = \"3s\"\n")
	conn := r.client.dial(t, "udp", dstV4+":4711")
	eventually(t, "a knock lets a flow begin", func() bool { // a loaded machine may miss the window
		for _, port := range []string{"7000", "1234", "9000"} {
			r.client.knockAt("udp", dstV4+":"+port)
		}
		return heard(conn, "hello", silence)
	})
	if keepUp(time.Now().Add(6*time.Second), []net.Conn{conn}) != 1 {
		t.Fatal("the flow has ended before the reload")
	}
	eventually(t, "the door closes", func() bool { return len(p.doors(t)) == 0 })
	p.reloads(t)
	if !heard(conn, "after a reload", patience) {
		t.Error("the flow is refused after a reload")
	}
}
