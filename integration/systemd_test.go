package integration

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"
)

// servedBySystemd has a route whose conns are waited for, and one whose conns are cut soon.
const servedBySystemd = `
[route.long]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [80]
origins  = ["10.0.0.5"]
drain_timeout = "60s"
[route.short]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [81]
origins  = ["10.0.0.5"]
drain_timeout = "2s"
`

// TestSystemd has a real systemd start the unit, and uses what a service manager
// offers, before an upgrade, after one and after two.
func TestSystemd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, port := range []string{"80", "81"} {
		r.origin.serve(t, "10.0.0.5:"+port, echo)
	}
	m := boot(t, r.edge, servedBySystemd, "")
	for _, upgrades := range []int{0, 1, 2} {
		m.run(t, "systemctl", "start", "anyport")
		conn := r.client.dial(t, "tcp", dstV4+":80")
		talk(t, conn, "before")
		m.upgrade(t, upgrades)
		talk(t, conn, "upgraded")

		m.reloads(t)
		m.upgradeFails(t)
		m.restartWaits(t, conn)
		m.upgrade(t, upgrades)
		m.crashIsNoticed(t, r)
		m.upgrade(t, upgrades)
		m.stopIsBounded(t, r)
	}
	if journal := m.journal(t); strings.Contains(journal, "not our child") {
		t.Error("systemd takes the new process for an alien")
	}
}

// upgrade puts other processes in the place of the one that serves, and checks that systemd
// knows which one it is.
func (m *machine) upgrade(t *testing.T, times int) {
	t.Helper()
	for range times {
		before := m.serving(t)
		m.run(t, "anyport", "upgrade")
		if now := m.serving(t); now == before {
			t.Errorf("pid %s serves as before", now)
		}
	}
	serving := m.serving(t)
	eventually(t, "systemd knows pid "+serving+" for the main one", func() bool { return m.show(t, "MainPID") == serving })
}

// upgradeFails tries a binary that ends at once, whose end systemd is the first to learn.
func (m *machine) upgradeFails(t *testing.T) {
	t.Helper()
	before := m.serving(t)
	if out, err := m.Run("anyport", "upgrade", "--binary", "/usr/bin/false"); err == nil || !strings.Contains(string(out), "ended before it was ready") {
		t.Errorf("an upgrade to /usr/bin/false: %v: %s", err, out)
	}
	if now := m.serving(t); now != before || m.show(t, "MainPID") != now {
		t.Errorf("pid %s serves after an upgrade that failed, where it was %s", now, before)
	}
}

// reloads reloads a file, and one that is refused.
func (m *machine) reloads(t *testing.T) {
	t.Helper()
	m.run(t, "systemctl", "reload", "anyport")
	if status := m.show(t, "StatusText"); !strings.Contains(status, "generation 2") {
		t.Errorf("after a reload systemd has %q", status)
	}
	const file = "/etc/anyport/anyport.toml"
	m.run(t, "mv", file, file+".good")
	if out, err := m.Run("systemctl", "reload", "anyport"); err == nil {
		t.Errorf("a reload without a file: %s", out)
	}
	m.run(t, "mv", file+".good", file)
	if state := m.show(t, "ActiveState"); state != "active" {
		t.Errorf("after a reload that was refused: %s", state)
	}
}

// restartWaits restarts while conn lives, which goes on until its client ends it.
func (m *machine) restartWaits(t *testing.T, conn net.Conn) {
	t.Helper()
	before := m.serving(t)
	m.run(t, "systemctl", "--no-block", "restart", "anyport")
	eventually(t, "the service stops", func() bool { return m.show(t, "ActiveState") == "deactivating" || m.show(t, "MainPID") != before })
	for until := time.Now().Add(silence); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		talk(t, conn, "while it stops")
	}
	if now := m.show(t, "MainPID"); now != before {
		t.Errorf("pid %s is the main one before the last conn of %s has ended", now, before)
	}
	conn.Close()
	eventually(t, "the service serves again", func() bool { return m.show(t, "ActiveState") == "active" })
	if now := m.serving(t); now == before {
		t.Errorf("pid %s was not restarted", now)
	}
}

// crashIsNoticed kills the process that serves: another one goes on with what systemd has kept.
func (m *machine) crashIsNoticed(t *testing.T, r *rig) {
	t.Helper()
	before := m.serving(t)
	m.run(t, "kill", "-KILL", before)
	conn := r.client.dial(t, "tcp", dstV4+":80") // waits in the queue, if nobody serves yet
	talk(t, conn, "after a crash")
	conn.Close()
	eventually(t, "the service serves again", func() bool { now := m.show(t, "MainPID"); return now != "0" && now != before })
	eventually(t, "the log tells of the store", func() bool {
		return strings.Contains(m.run(t, "journalctl", "--no-pager", "_PID="+m.show(t, "MainPID")), "service manager kept")
	})
}

// stopIsBounded stops the service, where a conn is cut after the time that its route gives it.
func (m *machine) stopIsBounded(t *testing.T, r *rig) {
	t.Helper()
	conn := r.client.dial(t, "tcp", dstV4+":81")
	talk(t, conn, "hello")
	begun := time.Now()
	m.run(t, "systemctl", "stop", "anyport")
	if took := time.Since(begun); took < time.Second || took > 30*time.Second {
		t.Errorf("the stop took %v, drain_timeout is 2s", took)
	}
	if n, err := conn.Read(make([]byte, 1)); err == nil || n > 0 {
		t.Errorf("the conn goes on")
	}
	if result := m.show(t, "Result"); result != "success" {
		t.Errorf("systemd says that it ended with %s", result)
	}
}

// TestWatchdog has systemd kill a process that does not report every three seconds that
// it is alive. A healthy one is left alone, idle, busy and across upgrades; one that
// hangs is replaced.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	m := boot(t, r.edge, servedBySystemd, "[Service]\nWatchdogSec=3s\nTimeoutAbortSec=1s\n")
	for range 2 {
		pid := m.serving(t)
		conn := r.client.dial(t, "tcp", dstV4+":80")
		talk(t, conn, "busy")
		for until := time.Now().Add(4500 * time.Millisecond); time.Now().Before(until); time.Sleep(time.Second) {
			talk(t, conn, "busy")
		}
		if now := m.show(t, "MainPID"); now != pid || m.show(t, "NRestarts") != "0" {
			t.Fatalf("pid %s is in the place of %s, which was well", now, pid)
		}
		conn.Close()
		m.upgrade(t, 1)
	}
	pid := m.serving(t)
	m.run(t, "kill", "-STOP", pid)
	eventually(t, "a process that stands still is replaced", func() bool { now := m.show(t, "MainPID"); return now != "0" && now != pid })
	m.run(t, "journalctl", "--no-pager", "--quiet", "--grep=Watchdog timeout") // fails without such a line
	conn := r.client.dial(t, "tcp", dstV4+":80")
	talk(t, conn, "served again")
}

// TestJournaldGone stops journald, which has the other end of stderr: the process and
// its conns continue, and it counts what it cannot log.
func TestJournaldGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	m := boot(t, r.edge, servedBySystemd, "")
	pid := m.serving(t)
	conn := r.client.dial(t, "tcp", dstV4+":80")
	talk(t, conn, "before")
	m.run(t, "systemctl", "stop", "systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald.service")
	for range 3 {
		m.run(t, "systemctl", "reload", "anyport") // which is logged
	}
	talk(t, conn, "after")
	if now := m.show(t, "MainPID"); now != pid {
		t.Errorf("pid %s is in the place of %s", now, pid)
	}
	if status := m.run(t, "anyport", "status", "--json"); strings.Contains(status, `"lost_lines": 0,`) {
		t.Errorf("no lost line is counted: %s", status)
	}
}

// TestStoreKeepsCounters: with the fd store and without pins, the counters and orders of a killed process
// go on in the next one.
func TestStoreKeepsCounters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	m := boot(t, r.edge, "[steering]\npin = \"\"\n"+servedBySystemd, "")
	status := func() (s status) {
		t.Helper()
		if err := json.Unmarshal([]byte(m.run(t, "anyport", "status", "--json")), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for n := range 2 {
		conn := r.client.dial(t, "tcp", dstV4+":80")
		talk(t, conn, "counted")
		if n == 0 {
			m.run(t, "anyport", "origin", "drain", "short/10.0.0.5")
		}
		if s := status(); s.Steering.Pinned || s.route(t, "long").ConnsTotal != uint64(n+1) {
			t.Fatalf("crash %d: %+v", n, s)
		}
		before := m.serving(t)
		m.run(t, "kill", "-KILL", before)
		eventually(t, "the service serves again", func() bool {
			now := m.show(t, "MainPID")
			return now != "0" && now != before && m.show(t, "ActiveState") == "active"
		})
		if s := status(); s.route(t, "long").ConnsTotal != uint64(n+1) || s.route(t, "short").Origins[0].Forced != "drain" {
			t.Errorf("after crash %d: %+v", n, s)
		}
	}
}
