package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// step is one thing to try.
type step struct {
	name, as string
	patience time.Duration
	try      func(context.Context) error // it prints what was said
}

// result is the outcome of a step.
type result struct {
	Step    string  `json:"step"`
	As      string  `json:"as"`
	Failed  bool    `json:"failed"`
	Seconds float64 `json:"seconds"`
	Why     string  `json:"why"` // it has failed
}

// String is a line for the person who waits.
func (r result) String() string {
	if r.Failed {
		return fmt.Sprintf("%s as %s FAILED after %.0f s: %s", r.Step, r.As, r.Seconds, r.Why)
	}
	return fmt.Sprintf("%s as %s passed, %.0f s", r.Step, r.As, r.Seconds)
}

// take tries a step, for no longer than its patience.
func (s step) take() result {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	err := s.try(ctx)
	r := result{Step: s.name, As: s.as, Failed: err != nil, Seconds: time.Since(began).Seconds()}
	if err != nil {
		r.Why, _, _ = strings.Cut(err.Error(), "\n")
	}
	return r
}

// steps returns the steps of the short form, or all steps, of which the demo sweeps these ports.
func steps(short bool, ports string) ([]step, error) {
	who, err := identities()
	if err != nil {
		return nil, err
	}
	root, unit := who[0], who[1]
	if short { // root is what the tests on this host run as
		who = who[1:]
	}
	var all []step
	for _, one := range who {
		all = append(all, one.steps()...)
	}
	if short {
		return all, nil
	}
	all = append(all,
		program("demo", root, longPatience, "", built("cmd/anyport"), "demo", "--ports", ports),
		tests("privileges test", root, "integration", "-test.run", "^(TestPrivileges|TestForgedSYNs)$", "-test.parallel", "1"),
		tests("transparent test", root, "integration", "-test.run", "^TestTransparent$"),
		tests("clock test", root, "integration", "-test.run", "^TestHoursOfSetClock$"),
		program("40,000 conns from two sources", root, longPatience, "integration", built("integration"), "-test.v", "-test.run", "^TestManyConnsFromTwoSources$", "-test.timeout", "0"),
		tests("steering tests", root, "steering", "-test.short"),
		tests("steering/host tests", root, "steering/host", "-test.short"),
		tests("steering/program tests", root, "steering/program", "-test.short"),
	)
	for _, pkg := range ofIngress {
		all = append(all, tests(pkg+" tests", root, pkg, "-test.short", "-test.parallel", "1"))
	}
	all = append(all,
		tests("fast path test", root, "integration", "-test.run", "^TestFastPath(MTU|Killed)?$", "-test.parallel", "1"),
		tests("fleet test", root, "integration", "-test.run", "^TestPeersRehash$", "-test.parallel", "1"),
	)
	for _, pkg := range ofProxy {
		all = append(all, tests(pkg+" tests", root, pkg, "-test.short"), tests(pkg+" tests", unit, pkg, "-test.short"))
	}
	return all, nil
}

const (
	// testPatience bounds the tests of a package: the emulator is 20 times as slow as the host.
	testPatience = 20 * time.Minute
	// longPatience bounds what makes many conns: the demo, with -ports 1-65535, too.
	longPatience = 50 * time.Minute
)

// tests runs the tests of a package in its directory. -test.v shows which are slow, and the
// timeout where one hangs.
func tests(name string, as identity, pkg string, args ...string) step {
	always := []string{built(pkg), "-test.v", "-test.timeout", (testPatience - time.Minute).String()}
	return program(name, as, testPatience, pkg, append(always, args...)...)
}

// program runs a program in a directory of the repository; it passes if it exits with 0.
func program(name string, as identity, patience time.Duration, dir string, command ...string) step {
	return step{name, as.name, patience, func(ctx context.Context) error {
		repository, err := os.Getwd()
		if err != nil {
			return err
		}
		command[0] = filepath.Join(repository, command[0])
		args := slices.Concat(as.prefix, command)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir, cmd.WaitDelay = dir, time.Second
		cmd.Env = append(os.Environ(), "TMPDIR=/run", "ANYPORT_MANY_CONNS=40000", "ANYPORT_MAY_SET_CLOCK=1", "ANYPORT_BINARY="+filepath.Join(repository, built("cmd/anyport")))
		var said strings.Builder
		both := io.MultiWriter(&said, os.Stdout) // the console has it also where the guest hangs
		cmd.Stdout, cmd.Stderr = both, both
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%w: %s", err, failure(said.String()))
		}
		return nil
	}}
}

// failure is the most informative line that a program printed.
func failure(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	for _, line := range lines {
		if strings.Contains(line, "--- FAIL") || strings.HasPrefix(line, "panic:") {
			return strings.TrimSpace(line)
		}
	}
	return lines[len(lines)-1]
}
