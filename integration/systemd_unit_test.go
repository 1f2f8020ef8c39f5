package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// exposureLimit is the worst rating of `systemd-analyze security` that the unit may have.
const exposureLimit = 1.9

var exposure = regexp.MustCompile(`Overall exposure level for anyport\.service: ([0-9.]+)`)

// TestUnit has systemd verify the unit and rate its rights, with the binary under test as its
// ExecStart.
func TestUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here")
	}
	text, err := os.ReadFile("../deploy/systemd/anyport.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "anyport.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/anyport", program)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", unit).CombinedOutput()
	rating := exposure.FindSubmatch(out)
	if err != nil || rating == nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	if level, err := strconv.ParseFloat(string(rating[1]), 64); err != nil || level > exposureLimit {
		t.Errorf("systemd-analyze security rates the unit with %s, want %v or less:\n%s", rating[1], exposureLimit, out)
	}
	if regexp.MustCompile(`(?m)^Type=notify-reload`).Match(text) {
		t.Error("Type=notify-reload: systemd 252 of Debian 12 does not know it")
	}
}

// TestUnitEdited takes back what the unit forbids, as the guide to the installation says: for pins,
// and for a service of this host.
func TestUnitEdited(t *testing.T) {
	t.Parallel()
	t.Run("pins", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.origin.serve(t, "10.0.0.5:80", echo)
		m := boot(t, r.edge, "[steering]\nuser = \"65534\"\npin = \"/sys/fs/bpf/anyport\"\n"+servedBySystemd, unitEdits(t, "pin in a bpffs"))
		conn := r.client.dial(t, "tcp", dstV4+":80")
		talk(t, conn, "hello")
		m.run(t, "test", "-e", "/sys/fs/bpf/anyport/link")
		if owner := strings.TrimSpace(m.run(t, "stat", "--format=%u", "/proc/"+m.serving(t))); owner != "65534" {
			t.Errorf("the process belongs to user %s", owner)
		}
	})
	t.Run("service", func(t *testing.T) {
		t.Parallel()
		needTool(t, "ncat")
		r := newRig(t)
		m := boot(t, r.edge, servedBySystemd, unitEdits(t, `action = "socket"`))
		m.run(t, "systemctl", "stop", "anyport")
		m.write(t, "/etc/systemd/system/echo.service", "[Service]\nExecStart=/usr/bin/ncat --listen --keep-open --exec /bin/cat 127.0.0.1 7777\n")
		m.write(t, "/etc/anyport/anyport.toml", `
[route.echo]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [7, 77]
action   = "socket"
service  = "echo.service"
listener = "127.0.0.1:7777"
`)
		m.run(t, "systemctl", "daemon-reload")
		m.run(t, "systemctl", "start", "echo", "anyport")
		for _, port := range []string{"7", "77"} {
			eventually(t, "the service has its socket", func() bool {
				conn, err := r.client.tryDial("tcp", "", dstV4+":"+port)
				if err == nil {
					conn.Close()
				}
				return err == nil
			})
			conn := r.client.dial(t, "tcp", dstV4+":"+port)
			talk(t, conn, "hello")
		}
	})
}

// unitEdits is what the guide says to add to the unit for a purpose.
func unitEdits(t *testing.T, purpose string) string {
	t.Helper()
	guide, err := os.ReadFile("../docs/how-to/install.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(guide)) {
		cells := strings.Split(line, " | ")
		if len(cells) != 2 || !strings.Contains(cells[0], purpose) {
			continue
		}
		text := "[Service]\n"
		for _, m := range regexp.MustCompile("`([A-Za-z]+=[^`]*)`").FindAllStringSubmatch(cells[1], -1) {
			text += m[1] + "\n"
		}
		return text
	}
	t.Fatalf("the guide has no edit of the unit for %q", purpose)
	return ""
}

// write writes a file of the machine.
func (m *machine) write(t *testing.T, path, text string) {
	t.Helper()
	m.run(t, "sh", "-c", `printf '%s' "$0" >"$1"`, text, path)
}
