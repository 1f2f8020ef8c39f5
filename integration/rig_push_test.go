package integration

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// leaseTime is more than a push lives on without its lease, on a slow machine.
const leaseTime = 2 * time.Minute

// pushed writes the file of a push.
func (r *tableRig) pushed(t *testing.T, routes string) string {
	t.Helper()
	return inFile(t, r.etcd.hostFile("center")+routes)
}

// push starts a push of some routes on the host of the etcd.
func (r *tableRig) push(t *testing.T, routes string, args ...string) *process {
	t.Helper()
	return r.center.spawn(t, exec.Command(program, append([]string{"push", "-c", r.pushed(t, routes)}, args...)...))
}

// ends waits for a push to end with an exit status.
func (r *tableRig) ends(t *testing.T, p *process, want int) {
	t.Helper()
	if status := p.waitFor(t, leaseTime); status != want {
		t.Errorf("exit status %d of a push, want %d", status, want)
	}
}

// fleetReport is what the tests read of `anyport fleet --json`.
type fleetReport struct {
	Table, Previous string
	Serial          int64
	Push            *struct{ Hosts []string }
	Differ          int
	Hosts           []struct{ Host, Table string }
}

// fleet asks the etcd.
func (r *tableRig) fleet(t *testing.T) (f fleetReport) {
	t.Helper()
	text := r.center.output(t, program, "fleet", "--json", "-c", r.pushed(t, fleetTable(4000)))
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// settled waits until all hosts serve a table, are ready, and nothing differs.
func (r *tableRig) settled(t *testing.T, table string) {
	t.Helper()
	var f fleetReport
	for end := time.Now().Add(leaseTime); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		f = r.fleet(t)
		serving := 0
		for _, h := range f.Hosts {
			if h.Table == table {
				serving++
			}
		}
		if serving == len(r.edges) && f.Differ == 0 && f.Push == nil {
			return
		}
	}
	t.Fatalf("not all hosts serve %.12s: %+v", table, f)
}

// victim waits for the first host of a push to serve its table, and names it.
func (r *tableRig) victim(t *testing.T, p *process) string {
	t.Helper()
	line := p.expect(t, "stage 1/3 (1): ", ": serves ")
	_, host, _ := strings.Cut(line, "stage 1/3 (1): ")
	host, _, _ = strings.Cut(host, ":")
	return host
}

// fleetLoad counts conns of one edge until the test ends.
type fleetLoad struct{ failed atomic.Int64 }

// startLoad asks some times a second for the answer of an origin.
func (r *tableRig) startLoad(t *testing.T, n int) *fleetLoad {
	t.Helper()
	l, stop, done := &fleetLoad{}, make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-done })
	go func() { // ends with the test
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if got := r.asks(n, dstV4); got != "origin" {
				l.failed.Add(1)
			}
		}
	}()
	return l
}

// failures is how many conns of all edges have failed.
func failures(loads []*fleetLoad) (failed int64) {
	for _, l := range loads {
		failed += l.failed.Load()
	}
	return failed
}

// cutOff is a route that no edge can take: it covers their own addresses.
var cutOff = fmt.Sprintf("[route.mine]\nprotocol = \"tcp\"\nprefixes = [\"10.1.0.0/16\"]\norigins = [\"%s:4000\"]\n", fleetOrigin)
