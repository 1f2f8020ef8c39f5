package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// faultVariable names the fault that a faulty anyport has.
const faultVariable = "ANYPORT_TEST_FAULT"

// faults are places where the faulty anyport panics if the variable names them: the first line of a
// function, found by its own. The shipped binary has no trace of them.
var faults = []struct{ at, file, line string }{
	{"tcp loop", "proxy/tcp/accept.go", "func (l *loop) acceptBatch(listener int) (dry bool, err error) {"},
	{"udp loop", "proxy/udp/loop.go", "func (l *loop) handle(events []unix.EpollEvent, now time.Duration) {"},
	{"resolver", "proxy/resolve/resolver.go", "func (r *Resolver) update() (due []question, next time.Time) {"},
	{"check", "proxy/probe/runner.go", "func (r *Runner) check(ctx context.Context, j *job) {"},
	{"steering watch", "steering/watch.go", "func (s *Steering) check(now time.Time, h host.Changes) (replaced bool, err error) {"},
	{"decisions", "cmd/anyport/internal/daemon/all_down.go", "func (d *daemon) applyHealth() {"},
	{"save", "cmd/anyport/internal/daemon/saved.go", "func (d *daemon) save(last bool) {"},
	{"access log", "proxy/accesslog/log.go", "func (a *Log) writeQueued() {"},
}

// edits are lines that are other ones in the faulty anyport: it panics when it parses a route of the
// name panics, and its config lasts sooner.
var edits = []struct{ file, line, instead string }{
	{"config/load.go", "func parseText(path string, data []byte, host *Config) (*Config, error) {",
		"func parseText(path string, data []byte, host *Config) (*Config, error) {\nif strings.Contains(string(data), \"route.panics\") { panic(\"a key that panics\") }"},
	{"cmd/anyport/internal/crashloop/records.go", "const LastsAfter = time.Minute", "const LastsAfter = 2 * time.Second"},
}

// buildFaulty builds anyport with the faults, once for all tests.
var buildFaulty = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "faulty")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	replaced := map[string]string{}
	overlay := func(file, text string) error {
		path, err := filepath.Abs(filepath.Join("..", file))
		if err != nil {
			return err
		}
		replaced[path] = filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		return os.WriteFile(replaced[path], []byte(text), 0o600)
	}
	edit := func(file, line, instead string) error {
		text, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			return err
		}
		if strings.Count(string(text), line+"\n") != 1 {
			return fmt.Errorf("%s has not one line %q: mend the list of faults", file, line)
		}
		return overlay(file, strings.Replace(string(text), line+"\n", instead+"\n", 1))
	}
	for _, e := range edits {
		if err := edit(e.file, e.line, e.instead); err != nil {
			return "", err
		}
	}
	for _, f := range faults {
		pkg := filepath.Base(filepath.Dir(f.file))
		err := overlay(filepath.Dir(f.file)+"/faults.go", fmt.Sprintf(
			"package %s\n\nimport \"os\"\n\nfunc fault(at string) {\n\tif os.Getenv(%q) == at {\n\t\tpanic(\"fault in \" + at)\n\t}\n}\n", pkg, faultVariable))
		if err == nil {
			err = edit(f.file, f.line, fmt.Sprintf("%s\nfault(%q)", f.line, f.at))
		}
		if err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	overlays := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlays, list, 0o600); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "anyport")
	build := exec.Command("go", "build", "-overlay", overlays, "-o", path, "anyport/cmd/anyport")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %v\n%s", err, out)
	}
	return path, nil
})

// faulty returns what starts a faulty anyport with these variables.
func faulty(t *testing.T, variables ...string) func(file string) *exec.Cmd {
	t.Helper()
	needTime(t)
	path, err := buildFaulty()
	if err != nil {
		t.Fatal(err)
	}
	return func(file string) *exec.Cmd {
		cmd := exec.Command(path, "run", "-c", file)
		cmd.Env = append(os.Environ(), variables...)
		return cmd
	}
}
