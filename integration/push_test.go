package integration

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// newPushRig starts some hosts that take their table from a first push, and returns its hash.
func newPushRig(t *testing.T, edges int) (r *tableRig, old string) {
	t.Helper()
	r = newTableRig(t, edges)
	for _, port := range []string{":4000", ":4001"} {
		r.center.both(t, fleetOrigin+port, named("origin"))
	}
	for n := range r.edges {
		r.launch(t, n, "")
	}
	eventually(t, "all hosts report", func() bool { return len(r.fleet(t).Hosts) == edges })
	r.ends(t, r.push(t, fleetTable(4000), "--hold", "0s", "--stage", "100%"), 0)
	old = r.fleet(t).Table
	r.settled(t, old)
	return r, old
}

// TestPushKilled: a second push is refused while one runs, and the hosts of one that is killed go back by themselves.
func TestPushKilled(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r, old := newPushRig(t, 2)
	p := r.push(t, fleetTable(4001), "--hold", "1h")
	r.victim(t, p)
	second := r.push(t, fleetTable(4000))
	r.ends(t, second, 1)
	second.expect(t, "a push of ", " runs since ")
	p.signal(t, syscall.SIGKILL)
	r.settled(t, old)
}

// TestPush: a good table ends on all hosts; one that a host refuses, and one whose origins refuse all conns, stop on
// one host and are gone by themselves. The other hosts serve on, and so do all while the etcd is away. A host that is
// upgraded meanwhile does not end a push.
func TestPush(t *testing.T) {
	t.Parallel()
	whole := t
	r, old := newPushRig(t, 3)
	upgraded := newFamily(t, r.edges[1].proxies[0]) // whose end comes after that of the load
	var loads []*fleetLoad
	for n := range r.edges {
		loads = append(loads, r.startLoad(t, n))
	}

	t.Run("refused", func(t *testing.T) {
		p := r.push(t, fleetTable(4000)+cutOff, "--hold", "1h")
		r.ends(t, p, 1)
		p.expect(t, "stage 1/3 (1): ", " refused the table: ")
		r.settled(t, old)
	})
	t.Run("origins refuse all", func(t *testing.T) {
		p := r.push(t, fleetTable(4002), "--hold", "1h")
		victim := r.victim(t, p)
		r.ends(t, p, 1)
		p.expect(t, "stage 1/3 (1): "+victim+" ", " conns failed, ", " in comparison")
		p.expect(t, "all hosts are back on table "+old[:12])
		r.settled(t, old)
		for n, edge := range r.edges {
			if failed := loads[n].failed.Load(); (failed > 0) != (edge.Name == victim) {
				t.Errorf("%d conns of %s failed", failed, edge.Name)
			}
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		p := r.push(t, fleetTable(4001), "--hold", "1h")
		r.victim(t, p)
		p.signal(t, syscall.SIGINT)
		r.ends(t, p, 1)
		p.expect(t, "the push was interrupted")
		r.settled(t, old)
	})
	t.Run("nobody reads", func(t *testing.T) {
		cmd := fmt.Sprintf("%s push -c %s --hold 1h | head -n 1", program, r.pushed(t, fleetTable(4001)))
		r.ends(t, r.center.spawn(t, exec.Command("bash", "-o", "pipefail", "-c", cmd)), 1)
		r.settled(t, old)
	})
	t.Run("good", func(t *testing.T) {
		before := failures(loads)
		p := r.push(t, fleetTable(4001), "--first", "edge2", "--hold", "1s", "--json")
		p.expect(t, `"event":"serves"`, `"hosts":["edge2"]`)
		r.etcd.kill(t) // what happens meanwhile is judged afterwards
		r.etcd.start(whole)
		upgraded.upgrade(t)
		r.ends(t, p, 0)
		events := map[string]int{}
		for line := range strings.Lines(p.String()) {
			var e struct{ Event string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			events[e.Event]++
		}
		if events["changes"] != 1 || events["stage"] != 3 || events["held"] != 3 || events["done"] != 1 {
			t.Errorf("%v", events)
		}
		f := r.fleet(t)
		if f.Table == old || f.Previous != old {
			t.Errorf("%+v", f)
		}
		r.settled(t, f.Table)
		if after := failures(loads); after != before {
			t.Errorf("%d conns failed", after-before)
		}
	})
	t.Run("back", func(t *testing.T) {
		r.ends(t, r.push(t, fleetTable(4001), "--back"), 0)
		r.settled(t, old)
	})
}
