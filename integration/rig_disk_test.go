package integration

import (
	"os/exec"
	"testing"
)

// smallDisk is a directory on a disk that can be full. Only processes that its host starts later see it.
type smallDisk struct {
	host *host
	dir  string
}

// newSmallDisk mounts one over a directory.
func newSmallDisk(t *testing.T, h *host, dir, size string) *smallDisk {
	t.Helper()
	if err := h.Mount("tmpfs", dir, "size="+size); err != nil {
		t.Fatal(err)
	}
	return &smallDisk{h, dir}
}

// do runs a script there, and returns what it printed.
func (d *smallDisk) do(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = d.dir
	p := d.host.spawn(t, cmd)
	p.wait(t)
	return p.String()
}

// fill leaves no room.
func (d *smallDisk) fill(t *testing.T) {
	t.Helper()
	d.do(t, "cat /dev/zero >filler")
}

// empty gives it back.
func (d *smallDisk) empty(t *testing.T) {
	t.Helper()
	d.do(t, "rm filler")
}

// lastTable is what an anyport that has its state there would start with.
func (d *smallDisk) lastTable(t *testing.T) string {
	t.Helper()
	return d.do(t, "cat fleet-table_*.toml")
}
