package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestServiceOutlivesAnyport kills anyport: the service gets its conns all the same, also after a restart in its cgroup.
// A listener of its cgroup that is in another network namespace gets none.
func TestServiceOutlivesAnyport(t *testing.T) {
	t.Parallel()
	r, group := newRig(t), newUnit(t)
	start := func(h *host, answer string) *process {
		return group.run(t, h, "ncat", "-4lke", "/bin/echo "+answer, "127.0.0.1", "7777")
	}
	service := start(r.edge, "service")
	steering, dir := r.edge.pinnedSteering(t)
	p := r.edge.serveWith(t, steering+serviceRoute("echo", 7, group.name))
	r.awaitAnswer(t, 7, "service")
	eventually(t, "the program on the cgroup is pinned", func() bool {
		return r.edge.spawn(t, exec.Command("sh", "-c", "test -e "+dir+"/listen_*")).wait(t) == 0
	})
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	r.awaitAnswer(t, 7, "service")
	service.signal(t, syscall.SIGKILL)
	service.wait(t)
	r.awaitAnswer(t, 7, "refused")
	start(r.origin, "foreign")
	eventually(t, "the service of another namespace listens", func() bool { return answerOf(r.origin, "127.0.0.1:7777") == "foreign" })
	if got := answerOf(r.client, port(dstV4, 7)); got != "refused" {
		t.Errorf("while only another namespace has such a listener: %s", got)
	}
	start(r.edge, "service")
	r.awaitAnswer(t, 7, "service")
	running := p.restart(t)
	r.awaitAnswer(t, 7, "service")
	running.signal(t, syscall.SIGTERM)
	running.wait(t)
	r.awaitAnswer(t, 7, "service")
	p.unload(t)
}

// TestServiceUpgrade upgrades to another steering program and back while clients ask, and restarts the service after each.
func TestServiceUpgrade(t *testing.T) {
	t.Parallel()
	other := otherRelease(t)
	r, group := newRig(t), newUnit(t)
	start := func() {
		group.make(t)
		group.run(t, r.edge, "python3", serverArgs("tcp", 7777, "service")...)
	}
	start()
	p := r.edge.serveWith(t, serviceRoute("echo", 7, group.name, `listener = "127.0.0.1:7777"`))
	f := newFamily(t, p)
	r.awaitAnswer(t, 7, "service")
	for _, binary := range []string{program, other, program} {
		answers := newTally(r.client, port(dstV4, 7))
		end := answers.load(100)
		answers.awaitMore(t, "service")
		f.upgradeTo(t, binary)
		answers.awaitMore(t, "service")
		end()
		if n := answers.counts(); len(n) > 1 {
			t.Errorf("answers during an upgrade: %v", n)
		}
		group.stop(t)
		r.awaitAnswer(t, 7, "refused")
		start()
		r.awaitAnswer(t, 7, "service")
	}
}

// TestServiceAddedByReload adds a service after the capability to look into other processes was dropped. One that does not run
// is noticed by the kernel when it listens, and stays through further reloads; one that runs is refused.
func TestServiceAddedByReload(t *testing.T) {
	t.Parallel()
	r, later, running := newRig(t), newUnit(t), newUnit(t)
	steering := "[steering]\nuser = \"65534\"\n" + allOf(servedV4)
	p := r.edge.launchAs(t, runForAll(t, "65534"), steering)
	p.expect(t, "msg=serving")
	reload := func(file string) result {
		p.write(t, file)
		return anyport(t, "reload", "--socket", p.socket)
	}
	withLater := steering + serviceRoute("later", 7, later.name, `listener = "127.0.0.1:7777"`)
	if got := reload(withLater); got.status != 0 {
		t.Fatalf("a service that does not run: %+v", got)
	}
	r.awaitAnswer(t, 7, "refused")
	start := func() *process {
		return later.run(t, r.edge, "python3", serverArgs("tcp", 7777, "service")...)
	}
	service := start()
	r.awaitAnswer(t, 7, "service")
	p.expect(t, "a socket of a service takes packets", "127.0.0.1:7777")
	if got := reload(withLater + "[route.more]\nprotocol = \"tcp\"\nprefixes = [\"203.0.113.0/24\"]\norigins = [\"10.0.0.5\"]\n"); got.status != 0 {
		t.Errorf("a reload while the service runs: %+v", got)
	}
	r.awaitAnswer(t, 7, "service")
	startRunning := func() *process { return running.run(t, r.edge, "python3", serverArgs("tcp", 7778, "running")...) }
	runs := startRunning()
	eventually(t, "the other service listens", func() bool { return answerOf(r.edge, "127.0.0.1:7778") == "running" })
	got := reload(withLater + serviceRoute("running", 8, running.name))
	if got.status != 1 || !strings.Contains(got.stderr, "CAP_SYS_PTRACE") || !strings.Contains(got.stderr, "restart anyport") {
		t.Errorf("a service that runs: %+v", got)
	}
	service.signal(t, syscall.SIGKILL)
	service.wait(t)
	r.awaitAnswer(t, 7, "refused")
	start()
	r.awaitAnswer(t, 7, "service")

	p.signal(t, syscall.SIGTERM)
	p.wait(t)
	p.write(t, withLater+serviceRoute("running", 8, running.name))
	again := p.restart(t)
	r.awaitAnswer(t, 7, "service")
	r.awaitAnswer(t, 8, "running")
	runs.signal(t, syscall.SIGKILL)
	runs.wait(t)
	r.awaitAnswer(t, 8, "refused")
	startRunning()
	eventually(t, "the service of another user is found again", func() bool { return strings.Count(again.String(), "127.0.0.1:7778") > 2 })
	r.awaitAnswer(t, 8, "running")
	again.signal(t, syscall.SIGTERM)
	again.wait(t)
}

// TestServicePassesSocketOn has a service give its listener to a process of another cgroup. That one answers, and
// is not the service.
func TestServicePassesSocketOn(t *testing.T) {
	t.Parallel()
	r, group, other := newRig(t), newUnit(t), newUnit(t)
	const passOn = `
import os, signal, socket, sys
listener = socket.create_server(("127.0.0.1", 7001))
if os.fork() == 0:
    with open(sys.argv[1], "w") as procs:
        procs.write("0")
    os.closerange(0, 3)
    while True:
        conn, _ = listener.accept()
        conn.sendall(b"other")
        conn.close()
signal.signal(signal.SIGUSR1, lambda *_: listener.close())
while True:
    signal.pause()
`
	service := group.run(t, r.edge, "python3", "-c", passOn, filepath.Join(other.dir, "cgroup.procs"))
	p := r.edge.serveWith(t, serviceRoute("echo", 7, group.name))
	r.awaitAnswer(t, 7, "other")
	service.signal(t, syscall.SIGUSR1)
	r.awaitAnswer(t, 7, "refused")
	p.expect(t, "a service has no socket that takes packets")
}
