package integration

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestUpgradeToAnotherProgram hands over to a build with another BPF program and other
// maps, and back, while clients keep asking: none is refused or cut, and a drained
// route stays drained. From the wrong binary the upgrade is refused, with what to type.
func TestUpgradeToAnotherProgram(t *testing.T) { onBothPaths(t, upgradesToAnotherProgram) }

func upgradesToAnotherProgram(t *testing.T, r *rig) {
	other := otherRelease(t)
	r.edge.answerAllErrors(t)
	for address, name := range map[string]string{"10.0.0.5:4000": "same", "10.0.0.5:4001": "even"} {
		r.origin.serve(t, address, func(conn net.Conn) { replyAll(conn, named(name)) })
		r.origin.answer(t, address, named(name))
	}
	p := r.edge.serveWith(t, evenTable+"[route.leaving]\nprotocol = \"tcp\"\nprefixes = [\"198.18.0.0/16\"]\nports = [84]\norigins = [\"10.0.0.5:4000\"]\n")
	f := newFamily(t, p)
	if got := anyport(t, "drain", "--route", "leaving", "--socket", p.socket); got.status != 0 {
		t.Fatalf("drain: %+v", got)
	}
	before := p.status(t).Steering.ProgramID
	got := anyport(t, "upgrade", "--binary", other, "--socket", p.socket)
	if got.status != 1 || !strings.Contains(got.stderr, "from the new binary itself") {
		t.Errorf("upgrade from the old binary: %+v", got)
	}
	if now := p.status(t).Steering; now.ProgramID != before || !now.Attached {
		t.Errorf("after a refused upgrade: %+v, program %d before", now, before)
	}

	s := newStorm(t, r.client)
	s.steady(t, "tcp", "198.18.0.1:80")
	s.steady(t, "udp", "198.18.0.1:80")
	for worker := range 8 {
		s.rage(worker)
	}
	began, seen := time.Now(), p.status(t).route(t, "same").Lookups
	for n := range soak(4, 50) {
		asked := s.asked.Load()
		f.upgradeTo(t, []string{other, program}[n%2])
		now := p.status(t)
		if now.Steering.ProgramID == before || !now.Steering.Attached || len(now.Steering.Foreign) > 0 {
			t.Errorf("upgrade %d: %+v, program %d before", n+1, now.Steering, before)
		}
		if lookups := now.route(t, "same").Lookups; lookups < seen {
			t.Errorf("upgrade %d: the kernel counted %d lookups, and %d before", n+1, lookups, seen)
		}
		seen = p.status(t).route(t, "same").Lookups
		if before = now.Steering.ProgramID; !now.route(t, "leaving").Draining {
			t.Errorf("upgrade %d: a route drains no more", n+1)
		}
		if got := r.client.ask("tcp", netip.MustParseAddrPort("198.18.0.9:84"), refused); got != refused {
			t.Errorf("upgrade %d: a new conn to the route that drains: %s", n+1, got)
		}
		eventually(t, "clients are served between upgrades", func() bool { return s.asked.Load() > asked+100 || t.Failed() })
	}
	f.tell(t, s, began)
}

// TestStartOverAnotherProgram checks that a build with another BPF program can also
// start from what a killed process left, in pins or with the service manager.
func TestStartOverAnotherProgram(t *testing.T) {
	t.Parallel()
	other := otherRelease(t)
	serveOther := func(file string) *exec.Cmd { return exec.Command(other, "run", "-c", file) }

	t.Run("pinned", func(t *testing.T) {
		r := newRig(t)
		bpffs := t.TempDir()
		if err := r.edge.Mount("bpf", bpffs); err != nil {
			t.Fatal(err)
		}
		r.edge.both(t, ":22", named("host"))
		r.origin.both(t, "10.0.0.5:22", named("origin"))
		r.origin.both(t, "[fd00:5::5]:22", named("origin"))
		served := []string{dstV4 + ":22", "[" + dstV6 + "]:22"}
		p := r.edge.serveWith(t, fmt.Sprintf("[steering]\npin = %q\n", filepath.Join(bpffs, "anyport"))+relayFile)
		running := p.process
		for _, start := range []func(string) *exec.Cmd{serveOther, anyportRun, anyportRun} {
			r.reach(t, "origin", served...)
			running.signal(t, syscall.SIGKILL)
			running.wait(t)
			r.reach(t, refused, served...)
			running = p.restartAs(t, start)
			if s := p.status(t).Steering; !s.Pinned || !s.Attached || len(s.Foreign) > 0 {
				t.Errorf("after a start on top of pins: %+v", s)
			}
		}
		r.reach(t, "origin", served...)
		running.signal(t, syscall.SIGTERM)
		running.wait(t)
		r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).expect(t, "removed", filepath.Join(bpffs, "anyport", "link"))
	})

	t.Run("kept", func(t *testing.T) {
		r := newRig(t)
		r.origin.serve(t, "10.0.0.5:4711", echo)
		m := newManager(t)
		p := r.edge.launchAs(t, m.run, relayFile)
		m.expect(t, "READY=1")
		running := p.process
		for _, binary := range []string{other, program} {
			eventually(t, "the sockets are stored", func() bool { return m.keeps("tcp/0", "udp/0", "link", "program") })
			running.signal(t, syscall.SIGKILL)
			running.wait(t)
			waiting := r.client.dial(t, "tcp", dstV4+":4711") // nobody is there to accept
			running = p.restartAs(t, func(file string) *exec.Cmd {
				cmd := m.run(file)
				cmd.Args[3] = binary
				return cmd
			})
			running.expect(t, "service manager kept")
			talk(t, waiting, "hello")
			waiting.Close()
			if s := p.status(t).Steering; !s.Attached || len(s.Foreign) > 0 {
				t.Errorf("after a start with what was kept: %+v", s)
			}
		}
		running.signal(t, syscall.SIGTERM)
		running.wait(t)
	})
}

var other struct {
	once   sync.Once
	binary string
	err    error
}

// otherRelease is an anyport as another release may be: built from this source, except
// for its BPF program and one of the maps. It needs clang.
func otherRelease(t *testing.T) (binary string) {
	t.Helper()
	needRoot(t)
	needTime(t)
	if _, err := exec.LookPath("clang"); err != nil && os.Getenv("REQUIRE_ROOT") != "1" {
		t.Skip("another steering program cannot be compiled: no clang")
	}
	other.once.Do(func() { other.binary, other.err = buildOther(filepath.Join(scratch, "other")) })
	if other.err != nil {
		t.Fatal(other.err)
	}
	return other.binary
}

func buildOther(tree string) (binary string, err error) {
	for _, part := range []string{"bpf", "cmd", "config", "docs", "proxy", "steering"} {
		if err := os.CopyFS(filepath.Join(tree, part), os.DirFS(filepath.Join("..", part))); err != nil {
			return "", err
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		if err := rewrite(filepath.Join("..", file), filepath.Join(tree, file)); err != nil {
			return "", err
		}
	}
	for file, oldNew := range map[string][]string{
		"tables.h": {"struct service {\n", "struct service {\n\t__u32 unused;\n"},
		"rule.h":   {"(struct service){ {", "(struct service){ 0, {"},
		"assign.h": {"h ^= h >> 13;", "h ^= h >> 12;"},
	} {
		path := filepath.Join(tree, "bpf", file)
		if err := rewrite(path, path, oldNew...); err != nil {
			return "", err
		}
	}
	binary = filepath.Join(tree, "anyport")
	for _, args := range [][]string{{"generate", "./bpf"}, {"build", "-o", binary, "./cmd/anyport"}} {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = tree, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return binary, nil
}

// rewrite copies a file and replaces some words, each of which it must contain.
func rewrite(from, to string, oldNew ...string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(string(text), oldNew[i]) {
			return fmt.Errorf("%s has no %q", from, oldNew[i])
		}
	}
	return os.WriteFile(to, []byte(strings.NewReplacer(oldNew...).Replace(string(text))), 0o600)
}
