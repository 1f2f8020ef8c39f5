package integration

import (
	"encoding/json"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLoweredLimit lowers the limit of file descriptors of a process that serves, to a few more than it has
// open and to fewer: live conns and flows go on, all orders are obeyed, new conns are served once there is
// room again, and the log does not fill with that.
func TestLoweredLimit(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	for name, few := range map[string]int{"a few more than are open": 20, "fewer than are open": -40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			for _, origin := range []string{"10.0.0.5", "[" + originV6 + "]"} {
				r.origin.serve(t, origin+":4711", func(conn net.Conn) {
					replyAll(conn, func(piece []byte) []byte { return piece })
				})
			}
			r.origin.answerPorts(t, "10.0.0.5:4712")
			p := r.edge.serveWith(t, relayFile)
			flow := r.client.dial(t, "udp", dstV4+":4712")
			port := question(t, flow, "who am I?")
			live := r.crowd(t, 50)
			speak(t, live)

			limit := p.lowerLimit(t, p.openFiles(t)+few)
			for range 50 { // at once: some get in before the limit is seen, and one may be reset
				if conn, err := r.client.tryDial("tcp", "", dstV4+":4711"); err == nil {
					defer conn.Close()
				}
			}
			p.expect(t, "somebody has lowered the limit of file descriptors")
			time.Sleep(2 * time.Second) // the live conns are idle for so long: they would give way to another client
			for range 50 {
				if conn, err := r.client.tryDial("tcp", "", "["+dstV6+"]:4711"); err == nil {
					defer conn.Close()
				}
			}
			for range 3 {
				p.obeys(t)
				if got := p.ask(t, "reload"); got.status != 0 {
					t.Errorf("reload: %+v", got)
				}
				speak(t, live)
				if got := insistOn(t, flow); got != port {
					t.Errorf("the flow came from port %s, and comes from port %s", port, got)
				}
			}
			p.signal(t, syscall.SIGHUP)
			p.expect(t, "msg=reloaded", "generation=5")
			if n := count(p.journal, []string{"http: Accept error"}); n > 1 {
				t.Errorf("the log has %d lines of an accept that failed", n)
			}

			p.setLimit(t, limit)
			p.expect(t, "somebody has raised the limit of file descriptors")
			speak(t, live)
			speak(t, r.crowd(t, 20))
			if n := count(p.journal, []string{"somebody has lowered the limit"}); n != 1 {
				t.Errorf("the log has %d lines of one limit", n)
			}
		})
	}
}

// crowd makes n conns.
func (r *rig) crowd(t *testing.T, n int) (all []net.Conn) {
	t.Helper()
	for range n {
		all = append(all, r.client.dial(t, "tcp", dstV4+":4711"))
	}
	return all
}

// speak has each of the conns answer.
func speak(t *testing.T, all []net.Conn) {
	t.Helper()
	for _, conn := range all {
		conn.SetDeadline(time.Now().Add(patience))
		talk(t, conn, "still here")
	}
}

// lowerLimit sets the soft limit of file descriptors, and returns what it was.
func (p *proxy) lowerLimit(t *testing.T, to int) (before unix.Rlimit) {
	t.Helper()
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	p.setLimit(t, unix.Rlimit{Cur: uint64(to), Max: before.Max})
	return before
}

func (p *proxy) setLimit(t *testing.T, limit unix.Rlimit) {
	t.Helper()
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// filesLimit is the limit that the files are divided by.
func (p *proxy) filesLimit(t *testing.T) uint64 {
	t.Helper()
	var s struct {
		Files uint64 `json:"files"`
	}
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	return s.Files
}
