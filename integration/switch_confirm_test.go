package integration

import (
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// divertRules bring the old proxy its conns, and new ones to anyport from its start on.
var divertRules = strings.TrimSpace(switchCases[1].before) + "\n" + switchCases[1].adds

// launchWith starts anyport with more flags.
func (h *host) launchWith(t *testing.T, toml string, flags ...string) *proxy {
	t.Helper()
	return h.launchAs(t, func(file string) *exec.Cmd {
		return exec.Command(program, append([]string{"run", "-c", file}, flags...)...)
	}, toml)
}

// secondsLeft is what status says about the time to confirm; nothing is not waited for.
func (p *proxy) secondsLeft(t *testing.T) (left float64, waits bool) {
	t.Helper()
	var s struct {
		Confirm *struct {
			Left float64 `json:"seconds_left"`
		}
	}
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	if s.Confirm == nil {
		return 0, false
	}
	return s.Confirm.Left, true
}

// TestNotConfirmed takes the conns of another proxy and is not confirmed: that proxy has its new conns back, live
// conns of anyport may end, and none is refused or cut.
func TestNotConfirmed(t *testing.T) {
	t.Parallel()
	needTool(t, "iptables")
	r := newRig(t)
	r.serveOld(t, divertRules)
	stop := r.newConns(t)
	before := strings.Join(r.edge.routes(t), "\n")
	p := r.edge.launchWith(t, relayFile, "--confirm", "4s")
	p.expect(t, "msg=serving")
	r.awaitCarrier(t, byAnyport)
	conn := r.longConn(t, byAnyport)
	if left, waits := p.secondsLeft(t); !waits || left <= 0 || left > 4 {
		t.Errorf("%v seconds left, %v", left, waits)
	}
	if got := anyport(t, "status", "--socket", p.socket); !strings.Contains(got.stdout, "CONFIRM") {
		t.Errorf("status says\n%s", got.stdout)
	}
	p.expect(t, "not confirmed in time: giving the prefixes back", "conns=")
	r.awaitCarrier(t, byHAProxy)
	eventually(t, "the routes are as before", func() bool { return strings.Join(r.edge.routes(t), "\n") == before }) // a little later
	expectCarrier(t, conn, byAnyport)
	if got := anyport(t, "confirm", "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "not confirmed in time") {
		t.Errorf("too late: %+v", got)
	}
	conn.Close()
	if status := p.wait(t); status != 3 {
		t.Errorf("anyport ended with %d, want 3", status)
	}
	p.expect(t, "anyport: not confirmed in time")
	stop()
}

// TestConfirmed: a reload leaves the deadline as it is, an upgrade waits for the confirmation, and after that
// nothing is given back, by the next process either.
func TestConfirmed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", carrier)
	const window = 8 * time.Second
	p := r.edge.launchWith(t, relayFile, "--confirm", window.String())
	p.expect(t, "msg=serving")
	begun := time.Now()
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Errorf("reload: %+v", got)
	}
	if left, waits := p.secondsLeft(t); !waits || left > window.Seconds() {
		t.Errorf("after the reload %v seconds left, %v", left, waits)
	}
	if got := anyport(t, "upgrade", "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "confirm first") {
		t.Errorf("upgrade: %+v", got)
	}
	p.confirm(t)
	if got := anyport(t, "confirm", "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "nothing to confirm") {
		t.Errorf("once more: %+v", got)
	}
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Errorf("reload: %+v", got)
	}
	if got := anyport(t, "upgrade", "--socket", p.socket); got.status != 0 {
		t.Fatalf("upgrade: %+v", got)
	}
	if _, waits := p.secondsLeft(t); waits {
		t.Error("the new process waits for a confirmation")
	}
	time.Sleep(time.Until(begun.Add(window + silence)))
	r.awaitCarrier(t, byAnyport)
	syscall.Kill(p.status(t).PID, syscall.SIGTERM)
	r.awaitRoutes(t, "proto 169", false)
	if status := p.wait(t); status != 0 { // the pipe of its log ends with the new one
		t.Errorf("the old process ended with %d", status)
	}
}

// awaitRoutes waits until the edge has such routes, or none.
func (r *rig) awaitRoutes(t *testing.T, words string, there bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(r.edge.output(t, "ip", "route", "show", "table", "local"), words) == there {
			return
		}
	}
	t.Fatalf("routes with %q: want %v", words, there)
}

// TestKilledBeforeConfirmed: the kernel gives everything back. Nothing is pinned, though the file says so.
func TestKilledBeforeConfirmed(t *testing.T) {
	t.Parallel()
	needTool(t, "iptables")
	r := newRig(t)
	r.serveOld(t, divertRules)
	p := r.edge.launchWith(t, "[steering]\npin = \"auto\"\n"+relayFile, "--confirm", "5m")
	p.expect(t, "msg=serving")
	r.awaitCarrier(t, byAnyport)
	if s := p.status(t); s.Steering.Pinned || s.Steering.OnDeath != "unreachable" {
		t.Errorf("pinned %v, on death %s", s.Steering.Pinned, s.Steering.OnDeath)
	}
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	r.awaitRoutes(t, "proto 169", false)
	r.awaitCarrier(t, byHAProxy)
	exec.Command("rm", "-f", p.socket).Run()
}

// TestTakeover: run does not take the conns of another proxy without a word, unless it is told to. When the rule
// is deleted, doctor names what is left of the set-up, and its commands remove that.
func TestTakeover(t *testing.T) {
	t.Parallel()
	needTool(t, "iptables")
	r := newRig(t)
	r.serveOld(t, divertRules)
	refusing := r.edge.launchWith(t, relayFile)
	if status := refusing.wait(t); status != 1 {
		t.Errorf("run ended with %d, want 1", status)
	}
	refusing.expect(t, "anyport: from its start anyport would take the new conns of another proxy")
	for _, words := range []string{"--shadow", "--confirm 60s", "--confirm 0"} {
		refusing.expect(t, words)
	}
	r.longConn(t, byHAProxy)
	p := r.edge.launchAs(t, func(path string) *exec.Cmd {
		give(t, path, "65534")
		return exec.Command(program, "run", "-c", path, "--confirm", "0")
	}, "[steering]\nuser = \"65534\"\n"+relayFile)
	p.expect(t, "msg=serving")
	if _, waits := p.secondsLeft(t); waits {
		t.Error("--confirm 0 waits")
	}
	if said := r.edge.output(t, "sh", "-c", program+" reload -c "+p.file+" 2>&1"); !strings.Contains(said, "warning: the new conns of 1 TPROXY rule of another proxy come to anyport now") {
		t.Errorf("reload says\n%s", said)
	}
	p.signal(t, syscall.SIGHUP)
	p.expect(t, "level=WARN", "the new conns of another proxy's TPROXY rules come here now", "rules=1")
	r.edge.run(t, switchCases[1].drops)
	p.signal(t, syscall.SIGTERM)
	p.wait(t)

	for range 5 { // each report has the commands for what is left then
		report, _ := r.edge.doctor(t, inFile(t, relayFile), nil)
		if report.found("tproxy_leftovers") == "" {
			r.edge.run(t, tproxyRoutes) // as it was before
			return
		}
		for _, f := range report.Findings {
			if f.Check == "tproxy_leftovers" && f.Status != "ok" {
				r.edge.output(t, "sh", "-ec", f.Mend)
			}
		}
	}
	t.Error("the commands of doctor leave something")
}
