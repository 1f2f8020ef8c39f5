package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyport/integration/lab"
)

// machine is a host that a real systemd has booted, with the unit as it is shipped.
type machine struct {
	*lab.Machine
	unit string // a property of the service is asked of this one
}

// boot boots h with a file for anyport, which serves then, and a drop-in for its unit.
func boot(t *testing.T, h *host, toml, dropIn string) *machine {
	t.Helper()
	return bootWith(t, h, program, toml, dropIn)
}

// bootWith is boot with another anyport, whose file has the same name.
func bootWith(t *testing.T, h *host, program, toml, dropIn string) *machine {
	t.Helper()
	if _, err := os.Stat("/lib/systemd/systemd"); err != nil {
		t.Skip("no systemd here")
	}
	unit, err := os.ReadFile("../deploy/systemd/anyport.service")
	if err != nil {
		t.Fatal(err)
	}
	etc := t.TempDir()
	for name, text := range map[string]string{
		"systemd/system/anyport.service":               string(unit),
		"systemd/system/anyport.service.d/dropin.conf": dropIn,
		"anyport/anyport.toml":                         toml,
	} {
		path := filepath.Join(etc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	booted, err := h.Boot(t.TempDir(), etc, program)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{booted, "anyport.service"}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the journal:\n%s", m.journal(t))
		}
		m.Close()
	})
	m.run(t, "systemctl", "start", "anyport")
	return m
}

// run runs a command there, which must end with 0.
func (m *machine) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := m.Run(name, args...)
	if err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// journal is all that systemd and its services have logged.
func (m *machine) journal(t *testing.T) string {
	t.Helper()
	return m.run(t, "journalctl", "--no-pager", "--output=short-precise")
}

// show gives a property of the service.
func (m *machine) show(t *testing.T, property string) string {
	t.Helper()
	return strings.TrimSpace(m.run(t, "systemctl", "show", "--value", "--property="+property, m.unit))
}

// serving is the pid of the process that serves.
func (m *machine) serving(t *testing.T) string {
	t.Helper()
	var status struct{ PID json.Number }
	text := m.run(t, "anyport", "status", "--json")
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Errorf("status: %v:\n%s", err, text)
	}
	return status.PID.String()
}
