package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestFleetStateFull fills the disk of a host's state directory: each table serves all the same, that of the disk
// stays whole and is the one that a start takes without the source, and it is replaced once there is room.
func TestFleetStateFull(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newTableRig(t, 1)
	for n := range 4 {
		r.center.both(t, fmt.Sprintf("%s:%d", fleetOrigin, 4000+n), named(fmt.Sprint(n)))
	}
	tables := make([]string, 4) // more than one page, so that a part of one fits
	for n := range tables {
		tables[n] = fleetTable(4000+n) + strings.Repeat("# a comment of some length, for a table that needs more than a page\n", 200)
	}
	disk := newSmallDisk(t, r.edges[0], r.states[0], "256k")
	p := r.launch(t, 0, "")
	check := func(when, want string) {
		t.Helper()
		if got := r.asks(0, "192.0.2.7"); got != want {
			t.Errorf("%s: a conn got %q, want %q", when, got, want)
		}
	}
	r.takes(t, 0, r.etcd.push(t, tables[0]))
	eventually(t, "the first table is on the disk", func() bool { return disk.lastTable(t) == tables[0] })

	disk.fill(t)
	hash := r.etcd.push(t, tables[1])
	r.takes(t, 0, hash)
	check("with a full disk", "1")
	p.expect(t, "level=WARN", "the table in service is not on the disk", "table="+hash[:12], "no space left on device", "make room")
	if got := anyport(t, "status", "--socket", p.socket).stdout; !strings.Contains(got, "a start without the source serves an older one") || !strings.Contains(got, "make room") {
		t.Errorf("status:\n%s", got)
	}
	if disk.lastTable(t) != tables[0] {
		t.Errorf("on the disk is neither the old table nor the new one")
	}
	if left := disk.do(t, "ls"); strings.Contains(left, ".new") {
		t.Errorf("a part of a table takes room of the full disk: %s", left)
	}
	newFamily(t, p).upgrade(t)
	check("after an upgrade", "1")
	eventually(t, "the new process knows, too", func() bool {
		return strings.Contains(anyport(t, "status", "--socket", p.socket).stdout, "make room")
	})
	disk.empty(t)
	p.expect(t, "the table in service is on the disk again", "table="+hash[:12])
	eventually(t, "the new table is on the disk", func() bool { return disk.lastTable(t) == tables[1] })
	if strings.Contains(anyport(t, "status", "--socket", p.socket).stdout, "table file") {
		t.Error("status has a problem with the disk")
	}
}

// TestFleetStateFullAtStart: with a full disk and without the source a start serves the table of the disk, with the
// source the newest.
func TestFleetStateFullAtStart(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newTableRig(t, 1)
	for n := range 2 {
		r.center.both(t, fmt.Sprintf("%s:%d", fleetOrigin, 4000+n), named(fmt.Sprint(n)))
	}
	disk := newSmallDisk(t, r.edges[0], r.states[0], "256k")
	p := r.launch(t, 0, "")
	r.takes(t, 0, r.etcd.push(t, fleetTable(4000)))
	eventually(t, "the table is on the disk", func() bool { return disk.lastTable(t) == fleetTable(4000) })
	disk.fill(t)
	hash := r.etcd.push(t, fleetTable(4001))
	r.takes(t, 0, hash)
	r.etcd.kill(t)
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	p.process = p.restartAs(t, r.runAs(0))
	p.expect(t, "msg=serving")
	if got := r.asks(0, "192.0.2.7"); got != "0" {
		t.Errorf("started with the table of the disk: a conn got %q", got)
	}
	r.etcd.start(t)
	r.takes(t, 0, hash)
	if got := r.asks(0, "192.0.2.7"); got != "1" {
		t.Errorf("with the source: a conn got %q", got)
	}
	disk.empty(t)
	eventually(t, "the newest table is on the disk", func() bool { return disk.lastTable(t) == fleetTable(4001) })
	p.signal(t, syscall.SIGTERM)
	p.wait(t)
}
