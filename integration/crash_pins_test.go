package integration

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// TestPinned kills anyport repeatedly where the steering is pinned. While it is dead,
// the kernel refuses what it served, and the host's own sshd cannot be reached through
// a served address. Each start continues with the pins, and unload removes them.
func TestPinned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bpffs := t.TempDir()
	if err := r.edge.Mount("bpf", bpffs); err != nil {
		t.Fatal(err)
	}
	r.edge.both(t, ":22", named("host")) // on all addresses
	r.origin.both(t, "10.0.0.5:22", named("origin"))
	r.origin.both(t, "[fd00:5::5]:22", named("origin"))
	served := []string{dstV4 + ":22", "[" + dstV6 + "]:22"}
	before := r.edge.belongings(t)
	p := r.edge.serveWith(t, fmt.Sprintf("[steering]\npin = %q\n", filepath.Join(bpffs, "anyport"))+relayFile)
	running := p.process
	for range soak(3, 50) {
		r.reach(t, "origin", served...)
		running.signal(t, syscall.SIGKILL)
		running.wait(t)
		if got := r.client.ask("tcp", netip.MustParseAddrPort(edgeV4+":22"), "host"); got != "host" {
			t.Errorf("the host's own address: %s", got)
		}
		r.reach(t, refused, served...)
		running = p.restart(t)
		if s := p.status(t).Steering; !s.Pinned || !s.Attached || len(s.Foreign) > 0 {
			t.Errorf("after a start on top of pins: %+v", s)
		}
	}
	r.reach(t, "origin", served...)

	unload := func() *process { return r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)) }
	beside := unload()
	if status := beside.wait(t); status != 1 {
		t.Errorf("unload beside a running anyport ended with %d", status)
	}
	beside.expect(t, "is running", fmt.Sprint(running.cmd.Process.Pid))
	running.signal(t, syscall.SIGTERM)
	running.signal(t, syscall.SIGINT) // at once
	if status := running.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	r.reach(t, refused, served...)

	after := unload()
	if status := after.wait(t); status != 0 {
		t.Errorf("unload ended with %d", status)
	}
	after.expect(t, "removed route local "+servedV4)
	after.expect(t, "removed", filepath.Join(bpffs, "anyport", "link"))
	unload().expect(t, "nothing was left")
	if now := r.edge.belongings(t); !slices.Equal(before, now) {
		t.Errorf("unload left %v of %v", now, before)
	}
	if r.edge.spawn(t, exec.Command("test", "-e", filepath.Join(bpffs, "anyport"))).wait(t) != 1 {
		t.Error("unload left the directory of the pins")
	}
}

// TestPinsRemoved removes some of the pins, before and after an upgrade. anyport
// restores them, so a process that is killed afterwards exposes nothing.
func TestPinsRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bpffs := t.TempDir()
	if err := r.edge.Mount("bpf", bpffs); err != nil {
		t.Fatal(err)
	}
	r.edge.both(t, ":22", named("host"))
	r.origin.both(t, "10.0.0.5:22", named("origin"))
	pins := filepath.Join(bpffs, "anyport")
	p := r.edge.serveWith(t, fmt.Sprintf("[steering]\npin = %q\n", pins)+relayFile)
	f := newFamily(t, p)
	for _, names := range [][]string{{"link"}, {"link", "sockets", "prefixes_v4"}} {
		for n, name := range names {
			pin := filepath.Join("/proc", fmt.Sprint(f.pids[len(f.pids)-1]), "root", pins, name)
			if err := os.Remove(pin); err != nil {
				t.Fatal(err)
			}
			eventually(t, fmt.Sprintf("pin %d is there again", n), func() bool { _, err := os.Stat(pin); return err == nil })
		}
		r.reach(t, "origin", dstV4+":22")
		f.upgrade(t)
		f.gone(t, f.pids[len(f.pids)-2])
	}
	last := f.pids[len(f.pids)-1]
	if err := os.Remove(filepath.Join("/proc", fmt.Sprint(last), "root", pins, "link")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the link is there again", func() bool {
		_, err := os.Stat(filepath.Join("/proc", fmt.Sprint(last), "root", pins, "link"))
		return err == nil
	})
	if err := syscall.Kill(last, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.gone(t, last)
	r.reach(t, refused, dstV4+":22")
	if err := os.Remove(p.socket); err != nil {
		t.Error(err)
	}
	unload := r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file))
	if status := unload.wait(t); status != 0 {
		t.Errorf("unload ended with %d", status)
	}
}
