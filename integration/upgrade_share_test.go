package integration

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// upgradeIs has an upgrade succeed or fail with words.
func (p *proxy) upgradeIs(t *testing.T, status int, words string, flags ...string) {
	t.Helper()
	got := anyport(t, append([]string{"upgrade", "--socket", p.socket}, flags...)...)
	if got.status != status || !strings.Contains(got.stdout+got.stderr, words) {
		t.Fatalf("upgrade %v: %+v, want %q", flags, got, words)
	}
}

// shareProcess has another process take the conns of a part of the clients, and returns its pid.
func (p *proxy) shareProcess(t *testing.T, percent string) (pid int) {
	t.Helper()
	p.upgradeIs(t, 0, "takes the new TCP conns of "+percent+" of the clients", "--share", percent)
	trial := p.trialStatus(t)
	if trial == nil || trial.Of != "process" || trial.New.PID == 0 || trial.New.PID == trial.Old.PID {
		t.Fatalf("trial: %+v", trial)
	}
	return trial.New.PID
}

// liveConns dials one conn of each of some clients.
func (r *rig) liveConns(t *testing.T, from, clients int) (conns []net.Conn) {
	t.Helper()
	for n := range clients {
		source, _ := clientAt('4', from+n)
		conn, err := r.client.tryDial("tcp", source, dstV4+":4711")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conns = append(conns, conn)
	}
	return conns
}

// talking counts the conns that still answer.
func talking(conns []net.Conn) (n int) {
	for _, conn := range conns {
		conn.SetDeadline(time.Now().Add(patience))
		if echoed(conn, "still here") == nil {
			n++
		}
	}
	return n
}

// newSide waits until both sides have counted n conns together, and returns those of the new one.
func (p *proxy) newSide(t *testing.T, n int) (next int) {
	t.Helper()
	eventually(t, "both sides count", func() bool {
		trial := p.trialStatus(t)
		if trial != nil {
			next = trial.New.Conns
		}
		return trial != nil && trial.Old.Conns+trial.New.Conns >= n
	})
	return next
}

// TestUpgradeShare: another process takes the conns of a third of the clients, each client always by the same process,
// and UDP stays. When the trial ends, by --back or --all, the live conns of both go on, and no client has met an error.
func TestUpgradeShare(t *testing.T) {
	t.Parallel()
	r := shareRig(t)
	p := r.edge.serveWith(t, shareOld)
	f := newFamily(t, p)
	conns := r.liveConns(t, 0, 20)
	flow := r.client.dial(t, "udp", dstV4+":4711")
	question(t, flow, "first")

	second := p.shareProcess(t, "30%")
	const clients = 500
	r.sides("tcp4", clients, nil)
	first := p.newSide(t, clients)
	fair(t, map[string]int{"new": first, "old": clients - first}, clients, 0.3)
	r.sides("tcp4", clients, nil)
	if twice := p.newSide(t, 2*clients); twice != 2*first {
		t.Errorf("the new process had %d conns of the same clients in the first round, and %d in both", first, twice)
	}
	r.sides("udp4", 50, nil)
	if trial := p.trialStatus(t); trial.Old.Conns+trial.New.Conns != 2*clients || trial.Old.Failed+trial.New.Failed > 0 {
		t.Errorf("trial: %+v", trial)
	}
	conns = append(conns, r.liveConns(t, 100, 60)...)
	question(t, flow, "during")
	live := p.newSide(t, 2*clients+60)
	eventually(t, "the counters of both are those of the route", func() bool {
		web := p.status(t).route(t, "web")
		return web.ConnsTotal >= 20+2*clients+60
	})
	for _, words := range [][]string{{"reload"}, {"reload", "--share", "5%"}, {"reload", "--all"}, {"upgrade"}, {"upgrade", "--share", "5%"}, {"kill", "--route", "web"}, {"drain", "--wait"}} {
		if got := anyport(t, append(words, "--socket", p.socket)...); got.status != 1 || !strings.Contains(got.stderr, "anyport upgrade --back") {
			t.Errorf("%v: %+v", words, got)
		}
	}
	if got := anyport(t, "status", "--socket", p.socket); !strings.Contains(strings.Join(strings.Fields(got.stdout), " "), "takes the new TCP conns of 30% of the clients") {
		t.Errorf("status: %+v", got)
	}
	p.signal(t, syscall.SIGHUP)
	p.expect(t, "reload refused", "anyport upgrade --all")
	if n := talking(conns); n != len(conns) {
		t.Errorf("during the trial %d of %d conns answer", n, len(conns))
	}

	calm := r.loadAll(2)
	p.upgradeIs(t, 0, "serves all clients", "--back")
	f.gone(t, second)
	if n := talking(conns); n != len(conns) {
		t.Errorf("after --back %d of %d conns answer, of which %d were the other process's", n, len(conns), live-2*first)
	}
	eventually(t, "all live conns are here", func() bool { return len(p.flowsOf(t)) >= len(conns) })
	p.upgradeIs(t, 1, "no process is on trial", "--back")

	second = p.shareProcess(t, "50%")
	conns = append(conns, r.liveConns(t, 200, 40)...)
	p.upgradeIs(t, 0, "conns", "--all")
	f.gone(t, second)
	if pid := p.status(t).PID; pid == f.pids[0] || pid == second {
		t.Errorf("after --all process %d serves", pid)
	} else {
		f.pids = append(f.pids, pid)
	}
	f.gone(t, f.pids[0])
	if n := talking(conns); n != len(conns) {
		t.Errorf("after --all %d of %d conns answer", n, len(conns))
	}
	question(t, flow, "after")
	if got := calm(); got["old"] == 0 || len(got) != 1 {
		t.Errorf("the load has met %v", got)
	}
	if p.trialStatus(t) != nil {
		t.Error("the trial goes on")
	}
	if got := anyport(t, "status", "--drift", "--socket", p.socket); got.status != 0 {
		t.Errorf("drift: %+v", got)
	}
}

// flowsOf are the lines of anyport flows.
func (p *proxy) flowsOf(t *testing.T) []string {
	t.Helper()
	return strings.Split(strings.TrimSpace(anyport(t, "flows", "--socket", p.socket).stdout), "\n")
}

// TestUpgradeShareKilled: when the new process is killed, only its conns are lost, and the old one has each next conn.
func TestUpgradeShareKilled(t *testing.T) {
	t.Parallel()
	r := shareRig(t)
	before := r.edge.belongings(t)
	p := r.edge.serveWith(t, shareOld)
	f := newFamily(t, p)
	second := p.shareProcess(t, "50%")
	conns := r.liveConns(t, 0, 40)
	had := p.newSide(t, 40)
	syscall.Kill(second, syscall.SIGKILL)
	f.gone(t, second) // until then the kernel steers conns to it, which end with it
	if got := r.sides("tcp4", 200, nil); got["old"] != 200 {
		t.Errorf("right after the end of the new process: %v", got)
	}
	if n := talking(conns); n != len(conns)-had {
		t.Errorf("%d of %d conns answer, of which the dead process had %d", n, len(conns), had)
	}
	p.expect(t, "the process on trial has failed")
	eventually(t, "the trial has ended", func() bool { return p.trialStatus(t) == nil })
	p.leaves(t, before)
}

// TestUpgradeShareStopped: SIGTERM during a trial ends both processes, after the live conns of both. Until then explain
// says which of them has a client.
func TestUpgradeShareStopped(t *testing.T) {
	t.Parallel()
	r := shareRig(t)
	before := r.edge.belongings(t)
	p := r.edge.serveWith(t, shareOld)
	f := newFamily(t, p)
	second := p.shareProcess(t, "50%")
	conns := r.liveConns(t, 0, 30)
	had, told := p.newSide(t, 30), 0
	for n := range 30 {
		source, dst := clientAt('4', n)
		if got := anyport(t, "explain", "tcp", dst, "--from", source, "--socket", p.socket); strings.Contains(got.stdout, source+" is one of them") {
			told++
		} else if !strings.Contains(got.stdout, "is not one of them, and stays with process") {
			t.Errorf("explain: %+v", got)
		}
	}
	if told != had {
		t.Errorf("explain tells %d clients that the new process has their conns, which has %d", told, had)
	}
	p.signal(t, syscall.SIGTERM)
	f.gone(t, second)
	if n := talking(conns); n != len(conns) {
		t.Errorf("during the stop %d of %d conns answer", n, len(conns))
	}
	for _, conn := range conns {
		conn.Close()
	}
	p.waitFor(t, patience)
	p.leaves(t, before)
}

// TestUpgradeShareRefused: a binary that does not start, or that would serve another file, changes nothing.
func TestUpgradeShareRefused(t *testing.T) {
	t.Parallel()
	r := shareRig(t)
	p := r.edge.serveWith(t, shareOld)
	script := filepath.Join(t.TempDir(), "anyport")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho it needs another kernel >&2\nexit 7\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.upgradeIs(t, 1, "exit status 7: it needs another kernel", "--share", "50%", "--binary", script)
	p.upgradeIs(t, 1, "no such file", "--share", "50%", "--binary", script+"-gone")
	p.write(t, shareNew)
	p.upgradeIs(t, 1, "has changed since it was loaded", "--share", "50%")
	if got := r.sides("tcp4", 50, nil); got["old"] != 50 || p.trialStatus(t) != nil {
		t.Errorf("after the refusals: %v", got)
	}

	p.write(t, shareOld)
	other := filepath.Join(t.TempDir(), "anyport")
	text, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(other, text, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.upgradeIs(t, 0, "takes the new TCP conns", "--share", "50%", "--binary", other)
	if err := errors.Join(os.Remove(other), os.WriteFile(other, text[:len(text)-1], 0o700)); err != nil {
		t.Fatal(err)
	}
	p.upgradeIs(t, 1, "has changed since the trial began", "--all")
	p.upgradeIs(t, 0, "serves all clients", "--back")
}

// TestUpgradeShareAllStuck: --all does not have a binary serve all whose process on trial fails at that moment, here
// because it stands still.
func TestUpgradeShareAllStuck(t *testing.T) {
	t.Parallel()
	r := shareRig(t)
	p := r.edge.serveWith(t, shareOld)
	f := newFamily(t, p)
	second := p.shareProcess(t, "50%")
	syscall.Kill(second, syscall.SIGSTOP)
	got := anyport(t, "upgrade", "--all", "--socket", p.socket)
	if pid := p.status(t).PID; got.status != 1 || pid != f.pids[0] {
		f.pids = append(f.pids, pid)
		t.Fatalf("upgrade --all: %+v, pid %d serves, before %d", got, pid, f.pids[0])
	}
	f.gone(t, second)
	eventually(t, "the trial has ended", func() bool { return p.trialStatus(t) == nil })
	if got := r.sides("tcp4", 50, nil); got["old"] != 50 {
		t.Errorf("afterwards: %v", got)
	}
}
