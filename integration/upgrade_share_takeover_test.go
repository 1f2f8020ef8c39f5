package integration

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestUpgradeShareTakesOver: when the old process is killed during a trial, the new one serves all: its live conns go
// on, and no new conn of any client is refused, over TCP as over UDP. It answers the commands, is upgraded like any
// other, and stops like any other.
func TestUpgradeShareTakesOver(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*host, *testing.T){"pinned": (*host).withBPFFS, "not pinned": func(*host, *testing.T) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := shareRig(t)
			prepare(r.edge, t)
			before := r.edge.belongings(t)
			p := r.edge.serveWith(t, shareOld)
			f := newFamily(t, p)
			conns := r.liveConns(t, 0, 20)
			flow := r.client.dial(t, "udp", dstV4+":4711")
			question(t, flow, "first")
			second := p.shareProcess(t, "50%")
			if got := anyport(t, "drain", "--socket", p.socket); got.status != 0 {
				t.Errorf("drain: %+v", got)
			}
			if got := anyport(t, "drain", "--undo", "--socket", p.socket); got.status != 0 {
				t.Errorf("undo: %+v", got)
			}
			conns = append(conns, r.liveConns(t, 100, 40)...)
			live := p.newSide(t, 40)
			r.sides("tcp4", 100, nil)
			p.newSide(t, 140)
			p.writeBroken(t) // nobody reads it
			total := p.status(t).route(t, "web").ConnsTotal

			p.signal(t, syscall.SIGKILL)
			f.gone(t, f.pids[0])
			f.pids = append(f.pids, second)
			for _, network := range []string{"tcp4", "tcp6", "udp4"} {
				if got := r.sides(network, 100, nil); got["old"] != 100 {
					t.Errorf("after the end of the old process, over %s: %v", network, got)
				}
			}
			question(t, flow, "after")
			p.expect(t, "the process before has died", "serves all")
			if n := talking(conns); n != live {
				t.Errorf("%d conns answer, of which the new process had %d", n, live)
			}
			status := p.status(t)
			if web := status.route(t, "web"); status.PID != second || web.ConnsTotal < total+200 || web.ConnsActive < live || p.trialStatus(t) != nil {
				t.Errorf("pid %d serves, want %d; of the route %d conns in all, where there were %d before, and %d live, want %d", status.PID, second, web.ConnsTotal, total, web.ConnsActive, live)
			}
			if got := anyport(t, "status", "--drift", "--socket", p.socket); got.status != 0 {
				t.Errorf("drift: %+v", got)
			}

			p.write(t, shareOld)
			p.reloadIs(t, 0, "generation 2")
			f.upgrade(t)
			f.gone(t, second)
			if n := talking(conns); n != live {
				t.Errorf("after an upgrade %d conns answer, want %d", n, live)
			}
			last := f.pids[len(f.pids)-1]
			for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} { // the second does not wait for conns
				syscall.Kill(last, end)
			}
			f.gone(t, last)
			p.waitFor(t, patience) // for the end of what the first process has started, too
			p.leaves(t, before)
		})
	}
}

// writeBroken puts a file in place that cannot be loaded.
func (p *proxy) writeBroken(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(p.file, []byte("[route"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestUpgradeShareBothKilled: the host's own services never answer on a served address, though both processes of a
// trial hold what steers, whichever dies first.
func TestUpgradeShareBothKilled(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := shareRig(t)
	r.edge.both(t, ":9999", named("host"))
	r.origin.both(t, "10.0.0.5:9999", named("origin"))
	before := r.edge.belongings(t)
	p := r.edge.serveWith(t, shareOld)
	asked := r.client.keepAsking(t, dstV4+":9999")
	f := newFamily(t, p)
	for _, firstDies := range []bool{true, false} {
		second := p.shareProcess(t, "50%")
		r.reach(t, "origin", dstV4+":9999")
		pids := []int{p.status(t).PID, second}
		if !firstDies {
			pids[0], pids[1] = pids[1], pids[0]
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		for _, pid := range pids {
			f.gone(t, pid)
		}
		r.reach(t, silent, dstV4+":9999")
		p.process = p.restart(t)
		f.pids[0] = p.cmd.Process.Pid
	}
	if exposed, answers := asked(); exposed > 0 || answers == 0 {
		t.Errorf("the host's service answered %d times, the origin %d times", exposed, answers)
	}
	p.leaves(t, before)
}

// TestUpgradeShareStandsStill: when the new process stands still, the old one notices and serves each new client; what
// becomes of the conns of the new process depends on whether it goes on in time.
func TestUpgradeShareStandsStill(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := shareRig(t)
	p := r.edge.serveWith(t, shareOld)
	f := newFamily(t, p)
	stop := func() (second int, conns []net.Conn, had int) {
		t.Helper()
		second = p.shareProcess(t, "50%")
		conns = r.liveConns(t, 0, 40)
		had = p.newSide(t, 40)
		syscall.Kill(second, syscall.SIGSTOP)
		return second, conns, had
	}
	served := func(when string) {
		t.Helper()
		if got := r.sides("tcp4", 200, nil); got["old"] != 200 {
			t.Errorf("%s: %v", when, got)
		}
	}
	t.Run("for ever", func(t *testing.T) {
		second, conns, had := stop()
		p.expect(t, "the process on trial stands still", "serves all new conns", fmt.Sprintf("pid=%d ", second), "does not answer")
		served("a process stands still")
		f.gone(t, second)
		if n := talking(conns); n != len(conns)-had {
			t.Errorf("%d of %d conns answer, of which the process that stood still had %d", n, len(conns), had)
		}
		eventually(t, "the trial has ended", func() bool { return p.trialStatus(t) == nil })
		p.upgradeIs(t, 1, "does not answer", "--back")
	})
	t.Run("for a while", func(t *testing.T) {
		second, conns, _ := stop()
		p.expect(t, "the process on trial stands still", fmt.Sprintf("pid=%d ", second)) // others have stood still, too
		served("a process stands still")
		syscall.Kill(second, syscall.SIGCONT)
		f.gone(t, second)
		if n := talking(conns); n != len(conns) {
			t.Errorf("%d of %d conns answer", n, len(conns))
		}
	})
	t.Run("and is called back", func(t *testing.T) {
		second, conns, had := stop()
		time.Sleep(100 * time.Millisecond) // in a question or between two, the outcome is the same
		p.upgradeIs(t, 0, "serves all clients", "--back")
		served("after --back")
		f.gone(t, second)
		if n := talking(conns); n != len(conns)-had {
			t.Errorf("%d of %d conns answer, of which the process that stood still had %d", n, len(conns), had)
		}
	})
}

// TestUpgradeShareFastPath: a flow that the kernel forwards goes on when the old process is killed during a trial, from
// the same port, though its sockets have died with that process.
func TestUpgradeShareFastPath(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := shareRig(t)
	r.origin.answerPorts(t, "10.0.0.5:4003")
	p := r.edge.serveWith(t, shareOld)
	f := newFamily(t, p)
	flow := r.client.dial(t, "udp", dstV4+":4003")
	p.goFast(t, func(conn net.Conn) { question(t, conn, "who?") }, flow)
	port := question(t, flow, "before")
	second := p.shareProcess(t, "50%")
	p.signal(t, syscall.SIGKILL)
	f.gone(t, f.pids[0])
	f.pids = append(f.pids, second)
	p.expect(t, "serves all")
	for range 20 {
		if now := question(t, flow, "after"); now != port {
			t.Fatalf("the flow comes to the origin from port %s, and came from port %s", now, port)
		}
	}
	if pid := p.status(t).PID; pid != second {
		t.Errorf("process %d serves, want %d", pid, second)
	}
	p.goFast(t, func(conn net.Conn) { question(t, conn, "who?") }, flow)
}
