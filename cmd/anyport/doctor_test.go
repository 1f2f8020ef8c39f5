package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/doctor"
)

// TestDoctorFails with a file that is not there, on whatever host.
func TestDoctorFails(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.toml")
	var stdout, stderr strings.Builder
	if status := execute([]string{"doctor", "-c", missing}, &stdout, &stderr); status != exitFailed {
		t.Errorf("exit status %d, want %d", status, exitFailed)
	}
	if !strings.HasPrefix(stdout.String(), "failure  file ") || !strings.Contains(stdout.String(), missing) {
		t.Errorf("stdout: %s", &stdout)
	}
	if !strings.HasPrefix(stderr.String(), "anyport: this host would not run it: ") {
		t.Errorf("stderr: %s", &stderr)
	}
}

func TestDoctorJSON(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.toml")
	var stdout, stderr strings.Builder
	if status := execute([]string{"doctor", "--json", "-c", missing}, &stdout, &stderr); status != exitFailed {
		t.Errorf("exit status %d, want %d", status, exitFailed)
	}
	var report doctor.Report
	if err := json.Unmarshal([]byte(stdout.String()), &report); err != nil || report.Works || report.Failures == 0 || len(report.Findings) == 0 {
		t.Errorf("got %v, %+v", err, report)
	}
}

func TestDoctorUsage(t *testing.T) {
	var stdout, stderr strings.Builder
	if status := execute([]string{"doctor", "anyport.toml"}, &stdout, &stderr); status != exitUsage || stdout.Len() > 0 {
		t.Errorf("exit status %d, want %d\n%s", status, exitUsage, &stdout)
	}
}
