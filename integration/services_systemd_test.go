package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestServiceOfSystemd has a real systemd restart a unit that a route leads to by its name. The unit of anyport has
// the drop-in of the guide, which lets a process without root find the socket.
func TestServiceOfSystemd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dropIn := ""
	for _, b := range documents(t)["../docs/how-to/services.md"] {
		if b.info == "ini" {
			dropIn = b.text
		}
	}
	m := boot(t, r.edge, serviceRoute("echo", 7, "echo.service"), dropIn)
	r.awaitAnswer(t, 7, "refused")
	run := func(slice, answer string) {
		m.run(t, "systemd-run", "--unit=echo.service", "--slice="+slice, "--property=StartLimitIntervalSec=0", "ncat", "-4lke", "/bin/echo "+answer, "127.0.0.1", "7777")
	}
	run("system.slice", "first")
	r.awaitAnswer(t, 7, "first")
	for range 20 { // at each start the unit is a copy of systemd for a moment, with systemd's sockets
		m.run(t, "systemctl", "restart", "echo.service")
	}
	r.awaitAnswer(t, 7, "first")
	m.run(t, "systemctl", "stop", "echo.service")
	r.awaitAnswer(t, 7, "refused")
	run("system-nested.slice", "second")
	r.awaitAnswer(t, 7, "second")
	holder := "ncat (pid " + m.pid(t, "echo.service") + "), since "
	eventually(t, "the status has "+holder, func() bool {
		status := m.run(t, "anyport", "status")
		return strings.Contains(status, "127.0.0.1:7777") && strings.Contains(status, holder)
	}) // the kernel is the first to notice
	explained := m.run(t, "anyport", "explain", "tcp", port(dstV4, 7))
	if want := fmt.Sprintf("service echo.service: tcp 127.0.0.1:7777, ncat (pid %s), since ", m.pid(t, "echo.service")); !strings.Contains(explained, want) {
		t.Errorf("explain without %q:\n%s", want, explained)
	}
	if found := m.run(t, "anyport", "doctor"); !strings.Contains(found, "services can be found by their cgroups") {
		t.Errorf("doctor: %s", found)
	}
}

// pid is the main process of a unit.
func (m *machine) pid(t *testing.T, unit string) string {
	t.Helper()
	return strings.TrimSpace(m.run(t, "systemctl", "show", "--value", "--property=MainPID", unit))
}
