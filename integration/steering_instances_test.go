package integration

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// besideFile serves prefixes that relayFile does not serve.
const besideFile = `
[route.beside]
protocol = ["tcp", "udp"]
prefixes = ["203.0.113.0/24"]
origins  = ["10.0.0.6"]
`

// TestTwoOfThem checks that an anyport that would serve what another one in the
// namespace serves refuses and names it, at a start and at a reload, and that the two
// processes of an upgrade are not mistaken for that. Two that share nothing run side by
// side, whichever of them dies, and leave nothing behind.
func TestTwoOfThem(t *testing.T) {
	t.Parallel()
	for _, pinned := range []bool{false, true} {
		t.Run(fmt.Sprint("pinned ", pinned), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if pinned {
				r.edge.withBPFFS(t)
			}
			r.edge.answerAllErrors(t)
			r.edge.both(t, ":4711", named("host"))
			r.origin.both(t, "10.0.0.5:4711", named("first"))
			r.origin.both(t, "10.0.0.6:4711", named("second"))
			before := r.edge.belongings(t)
			first, second := r.edge.serveWith(t, relayFile), r.edge.launchBeside(t, besideFile)
			second.expect(t, "msg=serving")
			refusal := []string{fmt.Sprintf("another anyport (pid %d, %s) serves 192.0.2.0/24", first.cmd.Process.Pid, first.file)}

			third := r.edge.launchBeside(t, strings.ReplaceAll(besideFile, "203.0.113.0/24", "192.0.2.128/25"))
			if status := third.wait(t); status != 1 {
				t.Errorf("the third ended with %d", status)
			}
			third.expect(t, refusal...)
			second.write(t, strings.ReplaceAll(besideFile, `["203.0.113.0/24"]`, `["203.0.113.0/24", "192.0.2.1"]`))
			if got := anyport(t, "reload", "--socket", second.socket); got.status != 1 || !holdsAll(got.stderr, refusal) {
				t.Errorf("reload: %+v", got)
			}
			second.write(t, besideFile)
			newFamily(t, first).upgrade(t)

			r.reach(t, "first", dstV4+":4711")
			r.reach(t, "second", "203.0.113.7:4711")
			second.signal(t, syscall.SIGKILL)
			second.wait(t)
			r.reach(t, "first", dstV4+":4711")
			r.reach(t, map[bool]string{true: refused, false: silent}[pinned], "203.0.113.7:4711")
			again := second.restart(t)
			r.reach(t, "first", dstV4+":4711")
			r.reach(t, "second", "203.0.113.7:4711")
			again.signal(t, syscall.SIGTERM)
			again.signal(t, syscall.SIGINT) // at once
			again.wait(t)
			r.reach(t, "first", dstV4+":4711")
			r.reach(t, silent, "203.0.113.7:4711")

			stop(t, first)
			if now := r.edge.belongings(t); !slices.Equal(before, now) {
				t.Errorf("left are %v of %v", now, before)
			}
			r.edge.leavesNoPins(t)
		})
	}
}

// launchBeside is launch on a host that changes while the process runs.
func (h *host) launchBeside(t *testing.T, toml string) *proxy {
	t.Helper()
	dir := t.TempDir()
	p := &proxy{host: h, file: filepath.Join(dir, "anyport.toml"), socket: filepath.Join(dir, "admin.sock")}
	p.write(t, toml)
	p.process = h.spawn(t, anyportRun(p.file))
	return p
}

// stop ends the process that answers on the admin socket.
func stop(t *testing.T, p *proxy) {
	t.Helper()
	pid := p.status(t).PID
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		if err := syscall.Kill(pid, signal); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it has ended", func() bool { _, err := os.Stat(p.socket); return err != nil })
	eventually(t, "its process is gone", func() bool { return syscall.Kill(pid, 0) != nil || zombie(pid) })
}

func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}

// TestNoDefence checks that anyport does not start where a dead process would expose
// the host's listeners, unless the operator owns the local routes; then it warns, as
// doctor does.
func TestNoDefence(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.edge.Mount("tmpfs", "/dev/net"); err != nil {
		t.Fatal(err)
	}
	r.edge.local(t, servedV4)
	p := r.edge.launch(t, relayFile)
	if status := p.wait(t); status != 1 {
		t.Errorf("exit status %d", status)
	}
	p.expect(t, "mount -t bpf -o mode=0700 bpf /sys/fs/bpf", "modprobe tun", "manage_routes = false")

	file := "[steering]\nmanage_routes = false\n" + relayFile
	exposed := r.edge.serveWith(t, file)
	exposed.expect(t, "level=WARN", "the host's own listeners would answer on served prefixes", "first=192.0.2.0/24")
	if got := exposed.status(t).Steering.OnDeath; got != "exposed" {
		t.Errorf("on_death is %q", got)
	}
	report, _ := r.edge.doctor(t, exposed.file, nil)
	if got := report.found("killed"); !strings.Contains(got, "warning: if anyport is killed, served addresses stay local") {
		t.Errorf("doctor says %q", got)
	}
}

// TestPinnedUser checks that a process that gave up root can still pin and unpin, and
// hand over to a binary with another BPF program.
func TestPinnedUser(t *testing.T) {
	t.Parallel()
	other := otherRelease(t)
	give(t, other, "") // to be started by the user
	r := newRig(t)
	r.edge.withBPFFS(t)
	r.edge.both(t, ":4711", named("host"))
	r.origin.both(t, "10.0.0.5:4711", named("origin"))
	run := func(path string) *exec.Cmd { give(t, path, "65534"); return anyportRun(path) }
	p := r.edge.launchAs(t, run, "[steering]\nuser = \"65534\"\n"+relayFile)
	p.expect(t, "msg=serving")
	newFamily(t, p).upgradeTo(t, other)
	if s := p.status(t).Steering; !s.Pinned || s.OnDeath != "refused" {
		t.Errorf("after the upgrade: %+v", s)
	}
	r.reach(t, "origin", dstV4+":4711")
	if err := syscall.Kill(p.status(t).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its listener is closed", func() bool { // a leader that is a zombie may have threads that are not
		return r.client.ask("tcp", netip.MustParseAddrPort(dstV4+":4711"), refused) == refused
	})
	r.reach(t, refused, dstV4+":4711")
	p.restart(t)
	r.reach(t, "origin", dstV4+":4711")
	stop(t, p)
	r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).expect(t, "removed "+pinRoot) // the empty directory
	r.edge.leavesNoPins(t)
}
