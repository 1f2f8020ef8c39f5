package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// step is one thing that is tried.
type step struct {
	name, as string
	patience time.Duration
	try      func(context.Context) (said string, err error)
}

// result is what came of a step.
type result struct {
	Step    string  `json:"step"`
	As      string  `json:"as"`
	Failed  bool    `json:"failed"`
	Seconds float64 `json:"seconds"`
	Why     string  `json:"why"` // it has failed
}

func (r result) String() string {
	if r.Failed {
		return fmt.Sprintf("%s as %s FAILED after %.0f s: %s", r.Step, r.As, r.Seconds, r.Why)
	}
	return fmt.Sprintf("%s as %s passed, %.0f s", r.Step, r.As, r.Seconds)
}

func (s step) take() (r result, said string) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	said, err := s.try(ctx)
	r = result{Step: s.name, As: s.as, Failed: err != nil, Seconds: time.Since(began).Seconds()}
	if err != nil {
		r.Why, _, _ = strings.Cut(err.Error(), "\n")
	}
	return r, said
}

// steps are those of the short form, or all.
func steps(short bool) []step {
	var all []step
	for _, who := range identities {
		all = append(all, who.steps()...)
	}
	if short {
		return all
	}
	nobody := identities[1].wrap
	all = append(all,
		program("demo", "root", 10*time.Minute, asRoot, built("cmd/anyport"), "demo", "--ports", "1-4096"),
		tests("privileges test", "root", asRoot, "integration", "-test.run", "^(TestPrivileges|TestReloadCommand|TestExplainLive|TestForgedSYNs)$"),
		tests("steering tests", "root", asRoot, "steering", "-test.short"),
	)
	for _, pkg := range []string{"proxy/tcp", "proxy/udp"} {
		all = append(all, tests(pkg+" tests", "root", asRoot, pkg, "-test.short"), tests(pkg+" tests", identities[1].name, nobody, pkg, "-test.short"))
	}
	return all
}

func asRoot(command ...string) []string { return command }

// tests runs the tests of a package in its directory.
func tests(name, as string, wrap func(...string) []string, pkg string, args ...string) step {
	s := program(name, as, 20*time.Minute, wrap, append([]string{"../" + strings.Repeat("../", strings.Count(pkg, "/")) + built(pkg)}, args...)...)
	try := s.try
	s.try = func(ctx context.Context) (said string, err error) {
		back, err := os.Getwd()
		if err != nil {
			return "", err
		}
		defer os.Chdir(back)
		if err := os.Chdir(pkg); err != nil {
			return "", err
		}
		os.Setenv("ANYPORT_BINARY", back+"/"+built("cmd/anyport"))
		os.Setenv("TMPDIR", "/run")
		return try(ctx)
	}
	return s
}

// program runs one that passes if it ends with 0.
func program(name, as string, patience time.Duration, wrap func(...string) []string, command ...string) step {
	return step{name, as, patience, func(ctx context.Context) (string, error) {
		args := wrap(command...)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.WaitDelay = time.Second
		out, err := cmd.CombinedOutput()
		said := strings.ReplaceAll(string(out), "\r", "\n")
		if err != nil {
			return said, fmt.Errorf("%w: %s", err, failure(said))
		}
		return said, nil
	}}
}

// failure is the line of what a program said that tells most.
func failure(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	for _, line := range lines {
		if strings.Contains(line, "--- FAIL") || strings.HasPrefix(line, "panic:") {
			return strings.TrimSpace(line)
		}
	}
	return lines[len(lines)-1]
}
