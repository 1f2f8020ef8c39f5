package integration

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// announceTable is the kernel table of the edges that announce.
const announceTable = "[announce]\ntable = 179\n"

// announces reports whether an edge has a route for a prefix in that table.
func (r *tableRig) announces(t *testing.T, n int) bool {
	t.Helper()
	// A table without a route has never been made: ip says so, and fails.
	return strings.Contains(r.edges[n].output(t, "sh", "-c", "ip route show table 179 2>/dev/null || true"), "192.0.2.0/25")
}

// announcing is how many edges announce.
func (r *tableRig) announcing(t *testing.T) (n int) {
	t.Helper()
	for edge := range r.edges {
		if r.announces(t, edge) {
			n++
		}
	}
	return n
}

// TestFleetLastHost: two hosts that become unable to serve at the same time do not both withdraw; the one that goes on is
// not drained without --force, and says so when it stops.
func TestFleetLastHost(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newTableRig(t, 2)
	origin := r.center.listen(t, fleetOrigin+":4000")
	edges := []*proxy{r.launch(t, 0, announceTable), r.launch(t, 1, announceTable)}
	table := "[health.up]\ntype = \"tcp\"\ninterval = \"500ms\"\n" + strings.ReplaceAll(fleetTable(4000), "origins =", "health = \"up\"\non_all_down = \"refuse\"\norigins =")
	r.etcd.push(t, table)
	both := func() bool { return r.announcing(t) == 2 }
	eventually(t, "both hosts announce", both)
	eventually(t, "both say so", func() bool {
		return r.etcd.report(t, "edge1").Announcing && r.etcd.report(t, "edge2").Announcing
	})

	origin.Close()
	kept := func(p *proxy) bool {
		return strings.Contains(string(p.statusJSON(t)), "too few other hosts announce: see announce.min_hosts")
	}
	last := -1
	eventually(t, "one host withdraws, and the other one is kept", func() bool {
		if n := r.announcing(t); n == 0 {
			t.Fatal("no host announces any more")
		} else if n == 2 {
			return false
		}
		for n := range edges {
			if r.announces(t, n) && kept(edges[n]) {
				last = n
			}
		}
		return last >= 0
	})
	time.Sleep(silence)
	if !r.announces(t, last) {
		t.Error("the last host has withdrawn")
	}
	got := anyport(t, "drain", "--socket", edges[last].socket)
	if got.status != 1 || !strings.Contains(got.stderr, "announce.min_hosts") || !strings.Contains(got.stderr, "--force") {
		t.Errorf("a drain of the last host: %+v", got)
	}

	r.center.listen(t, fleetOrigin+":4000")
	eventually(t, "both hosts announce again", both)
	drains := func(n int, want int, args ...string) {
		t.Helper()
		got := anyport(t, append([]string{"drain", "--socket", edges[n].socket}, args...)...)
		if got.status != want {
			t.Errorf("drain %q of edge%d: %+v", args, n+1, got)
		}
	}
	other := 1 - last
	eventually(t, "the fleet lets one host drain", func() bool {
		return anyport(t, "drain", "--socket", edges[last].socket).status == 0
	})
	drains(other, 1)
	drains(last, 0, "--undo")
	drains(other, 0, "--force")
	eventually(t, "the fleet knows that it drains", func() bool { return r.etcd.report(t, r.edges[other].Name).Draining })
	edges[last].signal(t, syscall.SIGTERM)
	edges[last].wait(t)
	edges[last].expect(t, "stopping, though the fleet may need this host")
}

// TestFleetOneName: of two hosts with one name the first reports, and both status and fleet name the other one, until the
// first stops. A host that is killed has its name again at once.
func TestFleetOneName(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newTableRig(t, 2)
	file := announceTable + r.etcd.hostFile("edge1")
	run := func(n int) func(string) *exec.Cmd {
		return func(file string) *exec.Cmd { return exec.Command(program, "run", "-c", file, "--state", r.states[n]) }
	}
	instance := func() string { return r.etcd.report(t, "edge1").Instance }
	first := r.edges[0].launchAs(t, run(0), file)
	eventually(t, "the first host reports", func() bool { return instance() != "" })
	mine := instance()
	second := r.edges[1].launchAs(t, run(1), file)
	second.expect(t, "another host of the fleet has the name of this one")
	status := anyport(t, "status", "--socket", second.socket).stdout
	if !strings.Contains(status, `reports under the name "edge1" too`) {
		t.Errorf("status:\n%s", status)
	}
	if now := instance(); now != mine {
		t.Errorf("the report is that of %s, and was that of %s", now, mine)
	}
	eventually(t, "fleet names the second host", func() bool {
		return strings.Contains(r.center.output(t, program, "fleet", "-c", second.file), "has this name too, and cannot report")
	})
	doctor := r.edges[1].output(t, "sh", "-c", fmt.Sprintf("%s doctor -c %s || true", program, second.file))
	if !strings.Contains(doctor, "reports to the fleet under this one's name") {
		t.Errorf("doctor:\n%s", doctor)
	}
	first.signal(t, syscall.SIGKILL)
	first.wait(t)
	first.process = first.restartAs(t, run(0))
	eventually(t, "the first host reports at once after a crash", func() bool { now := instance(); return now != mine && now != "" })
	first.signal(t, syscall.SIGTERM)
	first.wait(t)
	third := instance()
	eventually(t, "the second host has the name", func() bool { now := instance(); return now != third && now != "" })
	eventually(t, "and says nothing more about it", func() bool {
		return !strings.Contains(anyport(t, "status", "--socket", second.socket).stdout, "REPORTS")
	})
}
