package integration

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPlainBuild checks that a binary of plain `go build`, which uses cgo if there is a
// C compiler, drops its privileges on all threads, and that a reload and upgrades from
// and to the shipped binary work.
func TestPlainBuild(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	plain := filepath.Join(scratch, "anyport-plain")
	if err := buildTo(plain, "CGO_ENABLED=1"); err != nil {
		t.Fatal(err)
	}
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
