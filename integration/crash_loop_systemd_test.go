package integration

import (
	"encoding/json"
	"strings"
	"testing"
)

// adminSocket is that of the unit. A command that is given it does not read the file, which would panic too.
const adminSocket = "/run/anyport/admin.sock"

// TestCrashLoopUnderSystemd has the unit as it is shipped start again and again what panics on a key: the third
// process serves what lasted, from the state directory that the unit gives to a user without rights.
func TestCrashLoopUnderSystemd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	faulty, err := buildFaulty()
	if err != nil {
		t.Fatal(err)
	}
	m := bootWith(t, r.edge, faulty, relayFile, "")
	eventually(t, "the config lasts", func() bool { return m.guardStatus(t).Lasted != "" })
	good := m.guardStatus(t)
	if good.Off != "" || good.Guarded || good.Problem != "" {
		t.Errorf("after it has lasted: %+v", good)
	}

	m.run(t, "sed", "-i", "s/route.v6/route.panics/", "/etc/anyport/anyport.toml")
	if out, err := m.Run("anyport", "reload", "--socket", adminSocket); err == nil {
		t.Errorf("the reload of a key that panics is a success: %s", out)
	}
	eventually(t, "the unit serves what lasted", func() bool {
		s := m.guardStatus(t)
		return s.Guarded && s.Serving == good.Serving && s.Deaths == 2
	})
	r.reach(t, "origin", dstV4+":80")
	if state, restarts := m.show(t, "ActiveState"), m.show(t, "NRestarts"); state != "active" || restarts != "2" {
		t.Errorf("the unit is %s after %s restarts", state, restarts)
	}
	if !strings.Contains(m.journal(t), "serving the last config that lasted") {
		t.Error("the journal does not say so")
	}

	m.run(t, "sed", "-i", "s/route.panics/route.mended/", "/etc/anyport/anyport.toml")
	m.run(t, "systemctl", "reload", "anyport")
	if s := m.guardStatus(t); s.Guarded || s.Serving == good.Serving {
		t.Errorf("after the file is mended: %+v", s)
	}
	m.run(t, "systemctl", "stop", "anyport")
}

// guardStatus is the zero value while no anyport answers.
func (m *machine) guardStatus(t *testing.T) guardStatus {
	t.Helper()
	var s struct {
		Guard guardStatus `json:"crash_loop_guard"`
	}
	out, err := m.Run("anyport", "status", "--json", "--socket", adminSocket)
	if err != nil {
		return guardStatus{}
	}
	if err := json.Unmarshal(out, &s); err != nil {
		t.Errorf("status: %v:\n%s", err, out)
	}
	return s.Guard
}
