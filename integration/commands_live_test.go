package integration

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const twoRoutes = `
[defaults]
drain_timeout = "400ms"
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
[route.gone]
protocol = "tcp"
prefixes = ["203.0.113.0/24"]
origins  = ["10.0.0.5"]
`

// TestReloadCommand checks what a reload prints, dry and real: what changes and which
// conns it affects. Conns of a removed route end after its drain_timeout and others do
// not. A refused reload is reported, and changes nothing.
func TestReloadCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.client.route(t, "203.0.113.0/24", edgeV4)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	p := r.edge.serveWith(t, twoRoutes)
	if same := anyport(t, "reload", "--dry-run", "--socket", p.socket); same.status != 0 || !strings.HasPrefix(same.stdout, "nothing differs\n") {
		t.Errorf("a dry run that changes nothing: %+v", same)
	}
	stays, goes := r.client.dial(t, "tcp", dstV4+":4711"), r.client.dial(t, "tcp", "203.0.113.9:4711")
	talk(t, stays, "before")
	talk(t, goes, "before")

	p.write(t, strings.Replace(twoRoutes[:strings.Index(twoRoutes, "[route.gone]")], "192.0.2.0/24", "192.0.2.0/25", 1))
	const change = "- route \"gone\", 1 live conn: to be reset after 400ms\n    - 203.0.113.0/24\n" +
		"~ route \"web\", 1 live conn: as they began\n    + 192.0.2.0/25\n    - 192.0.2.0/24\n"
	dry := anyport(t, "reload", "--dry-run", "--socket", p.socket)
	if dry.status != 3 || dry.stderr != "" || dry.stdout != change+"a dry run: nothing was changed, generation 1 serves on\n" {
		t.Errorf("dry run: %+v", dry)
	}
	if s := p.status(t); s.Config.Generation != 1 || len(s.Routes) != 2 {
		t.Errorf("after a dry run: %+v", s)
	}
	wet := anyport(t, "reload", "--socket", p.socket)
	if wet.status != 0 || wet.stdout != change+p.file+" is in service: generation 2\n" {
		t.Errorf("reload: %+v", wet)
	}
	if _, err := goes.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a conn whose route was removed: %v, want a reset", err)
	}
	talk(t, stays, "after")

	p.write(t, "[listen]\nworkers = 3\n"+twoRoutes)
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "listen.workers: 1 cannot become 3") || got.stdout != "" {
		t.Errorf("a file that cannot be: %+v", got)
	}
	if s := p.status(t); s.Config.Generation != 2 || !strings.Contains(s.Config.Refused, "listen.workers") {
		t.Errorf("after a refusal: %+v", s.Config)
	}

	var reloaded struct {
		Generation int
		Routes     []struct{ Name, Change string }
	}
	p.write(t, twoRoutes)
	again := anyport(t, "reload", "--json", "--socket", p.socket)
	if err := json.Unmarshal([]byte(again.stdout), &reloaded); err != nil || reloaded.Generation != 3 || len(reloaded.Routes) != 2 || reloaded.Routes[0].Change != "added" {
		t.Errorf("as JSON: %+v, %v", again, err)
	}
	if s := p.status(t); s.Config.Refused != "" {
		t.Errorf("after a reload that was done: %+v", s.Config)
	}
}

// TestDrainCommand checks that a drained route refuses new conns and keeps old ones,
// also across a reload, that --wait returns with the last conn, and that --undo works.
func TestDrainCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.client.route(t, "203.0.113.0/24", edgeV4)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	p := r.edge.serveWith(t, twoRoutes)
	conn, flow := r.client.dial(t, "tcp", dstV4+":4711"), r.client.dial(t, "udp", dstV4+":4711")
	talk(t, conn, "before")
	trade(t, flow, "before")

	drained := func(when string) {
		t.Helper()
		for network, want := range map[string]string{"tcp": refused, "udp": silent} { // the kernel cannot tell flows apart
			if got := r.client.ask(network, netip.MustParseAddrPort("192.0.2.9:4711"), want); got != want {
				t.Errorf("%s, a new one over %s: %s, want %s", when, network, got, want)
			}
		}
		talk(t, conn, when)
		if got := trade(t, flow, when); got != "origin "+when {
			t.Errorf("%s, the old flow: %q", when, got)
		}
		other := r.client.dial(t, "tcp", "203.0.113.9:4711")
		talk(t, other, "another route")
		other.Close()
		if s := p.status(t); !s.route(t, "web").Draining || s.route(t, "gone").Draining {
			t.Errorf("%s: the status tells of %+v", when, s.Routes)
		}
	}
	got := anyport(t, "drain", "--route", "web", "--socket", p.socket)
	if got.status != 0 || got.stdout != "web: takes no new conns, 2 live conns\n" {
		t.Errorf("drain: %+v", got)
	}
	drained("draining")
	if got := anyport(t, "status", "--socket", p.socket); !strings.Contains(got.stdout, "web (draining)") || !strings.Contains(got.stdout, "privileges  user root, CAP_NET_BIND_SERVICE, CAP_NET_ADMIN") {
		t.Errorf("status: %+v", got)
	}
	p.signal(t, syscall.SIGHUP)
	p.expect(t, "msg=reloaded")
	drained("after a reload")

	if got := anyport(t, "drain", "--route", "web", "--undo", "--socket", p.socket); got.status != 0 || got.stdout != "web: takes new conns, 2 live conns\n" {
		t.Errorf("undo: %+v", got)
	}
	talk(t, r.client.dial(t, "tcp", dstV4+":4711"), "after the undo")

	last := r.client.dial(t, "tcp", "203.0.113.9:4711")
	talk(t, last, "the last one")
	waiting := r.edge.spawn(t, exec.Command(program, "drain", "--wait", "--route", "gone", "--socket", p.socket))
	eventually(t, "the wait has begun", func() bool { return p.status(t).route(t, "gone").Draining })
	talk(t, last, "still here")
	if !waiting.alive() {
		t.Error("the wait is over while a conn lives")
	}
	last.Close()
	if status := waiting.wait(t); status != 0 {
		t.Errorf("the wait ended with %d", status)
	}

	for _, c := range []struct {
		line   string
		status int
		says   string
	}{
		{"drain --route nobody", 1, `no route "nobody" is in service: there are gone, web`},
		{"drain --wait --undo", 2, "give one of them"},
	} {
		if got := anyport(t, append(strings.Fields(c.line), "--socket", p.socket)...); got.status != c.status || !strings.Contains(got.stderr, c.says) {
			t.Errorf("%s: %+v", c.line, got)
		}
	}
	if got := anyport(t, "drain", "--socket", p.socket); got.status != 0 || strings.Count(got.stdout, "takes no new conns") != 2 {
		t.Errorf("drain of all: %+v", got)
	}
	if got := anyport(t, "drain", "--undo", "--socket", p.socket); got.status != 0 || strings.Count(got.stdout, "takes new conns") != 2 {
		t.Errorf("undo of all: %+v", got)
	}
}

// TestExplainLive checks that without -c the running anyport answers, and that explain
// says where its file on disk gives another answer.
func TestExplainLive(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.edge.serveWith(t, twoRoutes)
	explain := func(want ...string) {
		t.Helper()
		got := anyport(t, "explain", "--socket", p.socket, "tcp", "203.0.113.9:80")
		if got.status != 0 || !strings.HasPrefix(got.stdout, "verdict: steer\nroute: gone\n") || !holdsAll(got.stdout, want) {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	explain("kernel: steer by route \"gone\"\n", "file: it is what is in service\n")
	if got := anyport(t, "drain", "--route", "gone", "--socket", p.socket); got.status != 0 {
		t.Errorf("drain: %+v", got)
	}
	explain("kernel: refuse by route \"gone\": it drains\n")
	if got := anyport(t, "status", "--drift", "--socket", p.socket); got.status != 0 || got.stdout != "" {
		t.Errorf("drift: %+v", got)
	}
	if got := p.ask(t, "origin down gone/10.0.0.5"); got.status != 0 {
		t.Errorf("origin down: %+v", got)
	}
	explain("\norigin: 10.0.0.5:80 forced_down\n", "\nbecause: origin 10.0.0.5:80: an operator has forced it down since ")
	p.write(t, twoRoutes+"ports = [22]\n")
	explain("file: it has changed since; after a reload: verdict refuse, route -")
	p.write(t, "[route")
	explain("file: it cannot be loaded any more: ")

	missing := p.socket + ".gone"
	if got := anyport(t, "explain", "--socket", missing, "tcp", "203.0.113.9:80"); got.status != 1 || !strings.Contains(got.stderr, "with -c FILE") {
		t.Errorf("without a process: %+v", got)
	}
}

// TestUnloadCommand checks that unload refuses while anyport runs, then reports and
// removes what a killed process left, and then has nothing to do.
func TestUnloadCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.withBPFFS(t)                 // else the routes go with the process
	p := r.edge.serveWith(t, twoRoutes) // that nothing is left behind is checked in the end
	unload := func() (string, int) {
		command := r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file))
		status := command.wait(t)
		return command.String(), status
	}
	if out, status := unload(); status != 1 || !strings.Contains(out, "anyport is running, pid") {
		t.Errorf("while it runs: %d, %s", status, out)
	}
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	out, status := unload()
	for _, want := range []string{"removed " + pinRoot, "removed route local 192.0.2.0/24 dev lo\n", "removed route local 203.0.113.0/24 dev lo\n"} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("after a kill: %d, %s, want %q", status, out, want)
		}
	}
	if out, status := unload(); status != 0 || out != "nothing was left\n" {
		t.Errorf("once more: %d, %s", status, out)
	}
	if err := os.Remove(p.socket); err != nil {
		t.Error(err)
	}
}
