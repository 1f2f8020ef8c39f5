package integration

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// TestPlainBuild checks binaries that are not built as the shipped one is, with cgo or on a host without
// C compiler and git. Each drops its privileges on all threads, and a reload and upgrades from and to the
// shipped binary work.
func TestPlainBuild(t *testing.T) {
	t.Parallel()
	for _, b := range []struct {
		name string
		long bool // it compiles everything again: make package-test
		args []string
		env  []string
	}{
		{name: "cgo", long: true, args: []string{"build"}, env: []string{"CGO_ENABLED=1"}},
		{name: "no compiler", args: []string{"install"}, env: []string{"CGO_ENABLED=", "PATH=" + t.TempDir()}},
		{name: "pie", long: true, args: []string{"build", "-buildmode=pie"}, env: []string{"CGO_ENABLED=0"}},
		{name: "cgo pie trimpath", long: true, args: []string{"install", "-buildmode=pie"}, env: []string{"CGO_ENABLED=1", "GOFLAGS=-trimpath"}},
	} {
		t.Run(b.name, func(t *testing.T) {
			if b.long {
				onlyPackageTest(t)
			}
			t.Parallel()
			r := newRig(t)
			dir := filepath.Join(scratch, "plain "+b.name)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			build := exec.Command("go", b.args...)
			if b.args[0] == "build" {
				build.Args = append(build.Args, "-o", dir)
			}
			build.Args = append(build.Args, "anyport/cmd/anyport")
			build.Env = append(append(os.Environ(), "GOBIN="+dir), b.env...)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", build.Args, err, out)
			}
			plain := filepath.Join(dir, "anyport")
			if got := usesCgo(t, plain); got != strings.HasPrefix(b.name, "cgo") {
				t.Errorf("built with cgo: %v", got)
			}
			r.servesAndUpgrades(t, plain)
		})
	}
}

// onlyPackageTest leaves a test to make package-test.
func onlyPackageTest(t *testing.T) {
	t.Helper()
	if os.Getenv("ANYPORT_PACKAGE") != "1" {
		t.Skip("compiles everything again, which takes minutes: make package-test")
	}
}

// usesCgo says how a binary was built.
func usesCgo(t *testing.T, path string) bool {
	t.Helper()
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "CGO_ENABLED", Value: "1"})
}

// servesAndUpgrades runs a binary without root, reloads it, and has it and the shipped one replace each other.
func (r *rig) servesAndUpgrades(t *testing.T, plain string) {
	t.Helper()
	give(t, plain, "") // to all: the user that anyport becomes starts it again
	const file = "[steering]\nuser = \"65534\"\n"
	const user, capabilities = "Uid:65534655346553465534", 1<<10 | 1<<12
	r.edge.local(t, servedV4)
	r.origin.both(t, "10.0.0.5:4000", named("origin"))
	p := r.edge.launchAs(t, func(path string) *exec.Cmd {
		give(t, path, user)
		return exec.Command(plain, "run", "-c", path)
	}, file+allOf("192.0.2.0/25"))
	p.expect(t, "msg=serving")
	f := newFamily(t, p)
	p.holds(t, user, capabilities)
	r.reach(t, "origin", dstV4+":53", dstV4+":65535")

	p.write(t, file+allOf("203.0.113.0/24"))
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Fatalf("reload: %+v", got)
	}
	for _, next := range []string{plain, program, plain} {
		f.upgradeTo(t, next)
		p.holds(t, user, capabilities)
		r.reach(t, "origin", "203.0.113.1:53", "203.0.113.1:65535")
	}
}

// TestPlainBuildWithoutItsProc starts a binary that is built with cgo in a PID namespace of its own, with the
// /proc of the host: it refuses to run, and says why.
func TestPlainBuildWithoutItsProc(t *testing.T) {
	onlyPackageTest(t)
	t.Parallel()
	r := newRig(t)
	plain := filepath.Join(scratch, "anyport-plain-proc")
	if err := buildTo(plain, "CGO_ENABLED=1"); err != nil {
		t.Fatal(err)
	}
	r.edge.local(t, servedV4)
	p := r.edge.launchAs(t, func(path string) *exec.Cmd {
		return exec.Command("unshare", "--pid", "--fork", "--kill-child", plain, "run", "-c", path)
	}, allOf("192.0.2.0/25"))
	p.expect(t, "mount the /proc of its PID namespace")
	p.wait(t)
}

// allOf is one route on all ports of a prefix.
func allOf(prefix string) string {
	return "[route.all]\nprotocol = [\"tcp\", \"udp\"]\nprefixes = [\"" + prefix + "\"]\norigins = [\"10.0.0.5:4000\"]\n"
}
