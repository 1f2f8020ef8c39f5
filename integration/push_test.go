package integration

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leaseTime is more than a lease of a push lives on, on a slow machine.
const leaseTime = 2 * time.Minute

// TestPush: a good table ends on all hosts; one that a host refuses, and one whose origins refuse all conns, stop on
// one host and are gone by themselves; so is that of a push that was killed. The other hosts serve on, and so do all while the etcd is away.
func TestPush(t *testing.T) {
	t.Parallel()
	whole, r := t, newFleetRig(t, 3)
	for _, port := range []string{":80", ":81"} {
		r.origin.both(t, fleetOrigin+port, named("origin"))
	}
	for _, e := range r.edges {
		r.startEdge(t, e, "")
	}
	eventually(t, "all hosts report", func() bool { return len(r.fleet(t).Hosts) == 3 })

	first := r.push(t, r.file(t, plainRoute("80")), "--hold", "0s")
	if status := first.waitFor(t, leaseTime); status != 0 {
		t.Fatal("the first table did not come into service")
	}
	old := r.fleet(t).Table
	r.settled(t, old)
	var loads []*fleetLoad
	for _, e := range r.edges {
		loads = append(loads, e.startLoad(t))
	}

	t.Run("refused", func(t *testing.T) {
		p := r.push(t, r.file(t, plainRoute("80")+"[route.mine]\nprotocol = \"tcp\"\nprefixes = [\"10.9.0.0/16\"]\norigins = [\"10.0.0.5:80\"]\n"), "--hold", "1h")
		if status := p.waitFor(t, leaseTime); status != 1 {
			t.Errorf("exit status %d", status)
		}
		p.expect(t, "stage 1/3 (1): ", " refused the table: ")
		r.settled(t, old)
	})
	t.Run("origins refuse all", func(t *testing.T) {
		p := r.push(t, r.file(t, plainRoute("82")), "--hold", "1h")
		victim := r.victim(t, p)
		if status := p.waitFor(t, leaseTime); status != 1 {
			t.Errorf("exit status %d", status)
		}
		p.expect(t, "stage 1/3 (1): "+victim+" ", " conns failed, ", " in comparison")
		p.expect(t, "all hosts are back on table "+old[:12])
		r.settled(t, old)
		for i, e := range r.edges {
			if failed := loads[i].failed.Load(); (failed > 0) != (e.name == victim) {
				t.Errorf("%d conns of %s failed", failed, e.name)
			}
		}
	})
	t.Run("killed", func(t *testing.T) {
		p := r.push(t, r.file(t, plainRoute("81")), "--hold", "1h")
		r.victim(t, p)
		second := r.push(t, r.file(t, plainRoute("80")))
		if status := second.waitFor(t, leaseTime); status != 1 {
			t.Errorf("exit status %d of a second push", status)
		}
		second.expect(t, "a push of ", " runs since ")
		p.signal(t, syscall.SIGKILL)
		r.settled(t, old)
	})
	t.Run("interrupted", func(t *testing.T) {
		p := r.push(t, r.file(t, plainRoute("81")), "--hold", "1h")
		r.victim(t, p)
		p.signal(t, syscall.SIGINT)
		if status := p.waitFor(t, leaseTime); status != 1 {
			t.Errorf("exit status %d", status)
		}
		p.expect(t, "the push was interrupted")
		r.settled(t, old)
	})
	t.Run("nobody reads", func(t *testing.T) {
		cmd := exec.Command("bash", "-o", "pipefail", "-c", fmt.Sprintf("%s push -c %s --hold 1h | head -n 1", program, r.file(t, plainRoute("81"))))
		if status := r.store.spawn(t, cmd).waitFor(t, leaseTime); status != 1 {
			t.Errorf("exit status %d", status)
		}
		r.settled(t, old)
	})
	t.Run("good", func(t *testing.T) {
		before := loads[0].failed.Load() + loads[1].failed.Load() + loads[2].failed.Load()
		p := r.push(t, r.file(t, plainRoute("81")), "--hold", "4s", "--json")
		p.expect(t, `"event":"serves"`)
		r.etcd.signal(t, syscall.SIGKILL) // what goes on meanwhile is decided afterwards
		r.etcd.wait(t)
		r.startStore(whole)
		if status := p.waitFor(t, leaseTime); status != 0 {
			t.Errorf("exit status %d", status)
		}
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
		if after := loads[0].failed.Load() + loads[1].failed.Load() + loads[2].failed.Load(); after != before {
			t.Errorf("%d conns failed", after-before)
		}
	})
	t.Run("back", func(t *testing.T) {
		p := r.push(t, r.file(t, plainRoute("81")), "--back")
		if status := p.waitFor(t, leaseTime); status != 0 {
			t.Errorf("exit status %d", status)
		}
		r.settled(t, old)
	})
}

// victim waits for the first host of a push to serve its table, and names it.
func (r *fleetRig) victim(t *testing.T, p *process) string {
	t.Helper()
	line := p.expect(t, "stage 1/3 (1): ", ": serves ")
	_, host, _ := strings.Cut(line, "stage 1/3 (1): ")
	host, _, _ = strings.Cut(host, ":")
	return host
}

// settled waits until all hosts serve a table, are ready, and nothing differs.
func (r *fleetRig) settled(t *testing.T, table string) {
	t.Helper()
	var f fleetReport
	for end := time.Now().Add(leaseTime); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if f = r.fleet(t); f.serving(table) == len(r.edges) && f.Differ == 0 && f.Push == nil {
			return
		}
	}
	t.Fatalf("not all hosts serve %.12s: %+v", table, f)
}
