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
