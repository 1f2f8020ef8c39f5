package panics_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"anyport/proxy/panics"
)

// role makes the test binary a process that panics.
const role = "ANYPORT_TEST_PANICS"

func TestMain(m *testing.M) {
	if os.Getenv(role) == "" {
		os.Exit(m.Run())
	}
	defer func() { select {} }() // what waits for ever
	defer panics.Rethrow()
	thePlace()
}

func thePlace() { panic("the value") }

func TestRethrow(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), role+"=1")
	out, _ := cmd.CombinedOutput()
	if text := string(out); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(text, "panic: the value") || !strings.Contains(text, "thePlace") {
		t.Errorf("%v:\n%s", cmd.ProcessState, text)
	}
}

func TestNoPanic(t *testing.T) {
	t.Parallel()
	defer panics.Rethrow()
}
