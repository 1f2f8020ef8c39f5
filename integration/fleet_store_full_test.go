package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reportsMetric is what an edge's metrics say about its reports.
func (r *tableRig) reportsMetric(t *testing.T, n int) string {
	t.Helper()
	_, text := r.edges[n].fetch(t, "GET", "/metrics")
	return between(text, "\nanyport_fleet_report_written ", "\n")
}

// newFullRig starts two edges with a first table, of an etcd with a small quota, and load on both.
func newFullRig(t *testing.T, etcdArgs ...string) (r *tableRig, edges []*proxy, loads []*fleetLoad) {
	t.Helper()
	r = newTableRig(t, 2, etcdArgs...)
	for _, port := range []string{":4000", ":4001"} {
		r.center.both(t, fleetOrigin+port, named("origin"))
	}
	for n := range r.edges {
		edges = append(edges, r.launch(t, n, "http = \"127.0.0.1:9765\"\n"))
	}
	first := r.etcd.push(t, fleetTable(4000))
	for n := range r.edges {
		r.takes(t, n, first)
		loads = append(loads, r.startLoad(t, n))
	}
	return r, edges, loads
}

// reportsAgain waits until both hosts report by themselves, and pushes a table.
func (r *tableRig) reportsAgain(t *testing.T) {
	t.Helper()
	for n := range r.edges {
		eventually(t, "a host reports again", func() bool { return r.reportsMetric(t, n) == "1" })
	}
	eventually(t, "all hosts are in the list", func() bool { return len(r.fleet(t).Hosts) == len(r.edges) })
	r.ends(t, r.push(t, fleetTable(4001), "--hold", "0s", "--stage", "100%"), 0)
	r.settled(t, r.fleet(t).Table)
}

// TestFleetNoSpace: an etcd whose quota is used up takes neither reports nor tables, which all say with what to do;
// the hosts serve on, one that boots then too, and report by themselves once there is room.
func TestFleetNoSpace(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r, edges, loads := newFullRig(t, "--quota-backend-bytes", fmt.Sprint(3<<20))
	r.etcd.fill(t)
	for n, p := range edges {
		eventually(t, "status says why reports are not written", func() bool {
			return strings.Contains(anyport(t, "status", "--socket", p.socket).stdout, "etcdctl alarm disarm")
		})
		if got := r.reportsMetric(t, n); got != "0" {
			t.Errorf("anyport_fleet_report_written is %q", got)
		}
		if !strings.Contains(string(p.statusJSON(t)), `"up": true`) {
			t.Errorf("an etcd that can be read is not taken to be there:\n%s", p.statusJSON(t))
		}
	}
	p := r.push(t, fleetTable(4001))
	r.ends(t, p, 1)
	p.expect(t, "etcd http://"+fleetOrigin+":2379: ", "database space exceeded", "etcdctl alarm disarm")
	time.Sleep(silence)
	r.etcd.kill(t) // the alarm outlives it
	r.etcd.start(t)
	r.ends(t, r.push(t, fleetTable(4001)), 1)
	if failed := failures(loads); failed > 0 {
		t.Errorf("%d conns failed", failed)
	}
	r.etcd.empty(t)
	r.reportsAgain(t)
	if failed := failures(loads); failed > 0 {
		t.Errorf("%d conns failed until the end", failed)
	}
}

// TestPushNoSpace: a push whose etcd becomes full while a stage holds ends, since nobody knows any more how the hosts
// serve, and the hosts go back.
func TestPushNoSpace(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r, edges, _ := newFullRig(t, "--quota-backend-bytes", fmt.Sprint(3<<20))
	old := r.fleet(t).Table
	p := r.push(t, fleetTable(4001), "--first", "edge1", "--hold", "1h")
	p.expect(t, "edge1: serves ")
	r.etcd.fill(t)
	r.ends(t, p, 1)
	p.expect(t, "edge1 has not renewed its report for ")
	p.expect(t, "etcdctl alarm disarm")
	eventually(t, "the host is back", func() bool { return strings.Contains(string(edges[0].statusJSON(t)), fmt.Sprintf(`"table": %q`, old)) })
	r.etcd.empty(t)
	r.settled(t, old)
}

// TestFleetDiskFull fills the disk of the etcd, which then dies, and does so at each start: hosts serve on, a push fails
// with where it has asked, and once there is room all goes on by itself.
func TestFleetDiskFull(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newTableRig(t, 0)
	r.etcd.kill(t)
	disk := newSmallDisk(t, r.center, r.etcd.dir, "160m") // two files of 64 MB are etcd's log
	r.etcd.start(t)
	r.addEdge(t)
	r.addEdge(t)
	for _, port := range []string{":4000", ":4001"} {
		r.center.both(t, fleetOrigin+port, named("origin"))
	}
	var edges []*proxy
	var loads []*fleetLoad
	first := r.etcd.push(t, fleetTable(4000))
	for n := range r.edges {
		edges = append(edges, r.launch(t, n, "http = \"127.0.0.1:9765\"\n"))
		r.takes(t, n, first)
		loads = append(loads, r.startLoad(t, n))
	}
	disk.fill(t)
	for n := 0; r.etcd.alive(); n++ {
		_, _ = r.etcd.tryCtl("put", fmt.Sprint("fill/", n), strings.Repeat("x", 100<<10), "--command-timeout", "1s")
	}
	r.etcd.expect(t, "no space left on device")
	for _, p := range edges {
		eventually(t, "status says that the source is away", func() bool {
			return strings.Contains(anyport(t, "status", "--socket", p.socket).stdout, "the table serves on")
		})
	}
	p := r.push(t, fleetTable(4001))
	r.ends(t, p, 1)
	p.expect(t, "etcd http://"+fleetOrigin+":2379: ", "the room on its disk")
	edges[1].signal(t, syscall.SIGTERM)
	edges[1].wait(t)
	if failed := loads[0].failed.Load(); failed > 0 {
		t.Errorf("%d conns failed", failed)
	}
	disk.empty(t)
	r.etcd.start(t)
	edges[1].process = edges[1].restartAs(t, r.runAs(1))
	edges[1].expect(t, "msg=serving")
	r.reportsAgain(t)
	if failed := loads[0].failed.Load(); failed > 0 {
		t.Errorf("%d conns failed until the end", failed)
	}
	edges[1].signal(t, syscall.SIGTERM)
	edges[1].wait(t)
}
