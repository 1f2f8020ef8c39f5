package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// program is the anyport under test, and scratch a directory that lasts as long as all tests.
var program, scratch string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if role := os.Getenv(holderRole); role != "" {
		fmt.Println(runHolder(role))
		return 1
	}
	dir, err := os.MkdirTemp("", "anyport-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // a user to become starts the binary, too
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	scratch = dir
	if program, err = build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if err := noteLeftOut(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// build compiles the binary as it is shipped: static, without cgo.
func build(dir string) (string, error) {
	if path := os.Getenv("ANYPORT_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(dir, "anyport")
	return path, buildTo(path, "CGO_ENABLED=0")
}

// buildTo compiles the binary to path, as the Makefile does, with these variables.
func buildTo(path string, variables ...string) error {
	cmd := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", path, "anyport/cmd/anyport")
	cmd.Env = append(os.Environ(), variables...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build anyport/cmd/anyport: %v\n%s", err, out)
	}
	return nil
}

// needRoot ends the test where namespaces can't be made.
func needRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("REQUIRE_ROOT") == "1":
		t.Fatal("network namespaces need root")
	default:
		t.Skip("network namespaces need root")
	}
}

// raiseFiles lifts the limit on open files as far as this process may.
func raiseFiles(t *testing.T, want uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= want {
		return
	}
	raised := unix.Rlimit{Cur: want, Max: max(want, limit.Max)}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
		t.Logf("open files stay at %d: %v", limit.Cur, err)
	}
}

// onlySoak leaves a test to make soak: it takes long, or gives no answer where the host has much else to do.
func onlySoak(t *testing.T) {
	t.Helper()
	if os.Getenv("ANYPORT_SOAK") != "1" {
		t.Skip("takes long: make soak")
	}
}

// onlyQuiet leaves a test to whoever has a quiet machine: it measures.
func onlyQuiet(t *testing.T) {
	t.Helper()
	if os.Getenv("ANYPORT_SPEED") != "1" {
		t.Skip("measures: set ANYPORT_SPEED=1 on a quiet machine")
	}
}

// soak is how often a test does its thing: short in `make test`, long in `make soak`.
func soak(short, long int) int {
	if os.Getenv("ANYPORT_SOAK") == "1" {
		return long
	}
	return short
}
