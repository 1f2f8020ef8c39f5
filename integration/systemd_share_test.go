package integration

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSystemdShare: systemd knows which process is the service before, during and after a trial, however that ends, and
// restarts it. When the main process is killed, another one serves at once, though conns of the trial would go on.
func TestSystemdShare(t *testing.T) {
	t.Parallel()
	r := shareRig(t)
	m := boot(t, r.edge, shareOld+"drain_timeout = \"60s\"\n", "")
	served := func(when string) {
		t.Helper()
		if got := r.sides("tcp4", 100, nil); got["old"] != 100 {
			t.Errorf("%s: %v", when, got)
		}
	}
	restarts := func(when string) {
		t.Helper()
		before := m.serving(t)
		m.run(t, "systemctl", "restart", "anyport")
		if now := m.serving(t); now == before || now != m.show(t, "MainPID") || m.show(t, "NRestarts") != "0" {
			t.Errorf("%s: restarted from %s to %s, and systemd has %s", when, before, now, m.show(t, "MainPID"))
		}
		served(when)
	}

	main := m.serving(t)
	m.share(t)
	conns := r.liveConns(t, 0, 40)
	served("during the trial")
	m.run(t, "anyport", "upgrade", "--back")
	if n := talking(conns); n != len(conns) {
		t.Errorf("after --back %d of %d conns answer", n, len(conns))
	}
	if now := m.serving(t); now != main || m.show(t, "MainPID") != main {
		t.Errorf("after --back process %s serves, and systemd has %s, want %s", now, m.show(t, "MainPID"), main)
	}
	for _, conn := range conns {
		conn.Close()
	}
	restarts("after --back")

	main = m.serving(t)
	second := m.share(t)
	conns = r.liveConns(t, 0, 40)
	m.run(t, "anyport", "upgrade", "--all")
	now := m.serving(t)
	if now == main || now == second {
		t.Errorf("after --all process %s serves", now)
	}
	eventually(t, "systemd knows pid "+now+" for the main one", func() bool { return m.show(t, "MainPID") == now })
	if n := talking(conns); n != len(conns) {
		t.Errorf("after --all %d of %d conns answer", n, len(conns))
	}
	for _, conn := range conns {
		conn.Close()
	}
	restarts("after --all")

	m.share(t)
	restarts("during a trial")

	main = m.serving(t)
	m.share(t)
	r.liveConns(t, 0, 40) // of both
	m.run(t, "kill", "-KILL", main)
	eventually(t, "it has ended", func() bool { return m.show(t, "MainPID") != main }) // until then it may accept conns, which end with it
	served("after the main process was killed")
	eventually(t, "the service serves again", func() bool {
		now := m.show(t, "MainPID")
		return now != "0" && now != main && m.show(t, "ActiveState") == "active"
	})
	if m.show(t, "NRestarts") != "1" || strings.Contains(m.run(t, "anyport", "status"), "TRIAL") {
		t.Errorf("%s restarts; %s", m.show(t, "NRestarts"), m.run(t, "anyport", "status"))
	}
	if journal := m.journal(t); strings.Contains(journal, "not our child") || strings.Contains(journal, "reception only permitted") {
		t.Error("systemd takes a process for an alien")
	}
}

// share begins a trial, and returns the pid of the new process. systemd has the old one for the service.
func (m *machine) share(t *testing.T) (second string) {
	t.Helper()
	main := m.serving(t)
	m.run(t, "anyport", "upgrade", "--share", "50%")
	var status struct {
		Trial struct{ New struct{ PID json.Number } }
	}
	if err := json.Unmarshal([]byte(m.run(t, "anyport", "status", "--json")), &status); err != nil {
		t.Error(err)
	}
	second = status.Trial.New.PID.String()
	if now := m.show(t, "MainPID"); now != main || second == "" || second == main {
		t.Errorf("during a trial of process %q systemd has %s for the main one, want %s", second, now, main)
	}
	return second
}
