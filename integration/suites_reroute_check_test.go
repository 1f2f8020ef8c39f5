package integration

import (
	"net"
	"net/netip"
	"os/exec"
	"syscall"
	"testing"
)

// TestRerouteTakesTheGroupAlone tests the harness: a process in the cgroup that connects to
// loopback reaches the served address; one outside does not.
func TestRerouteTakesTheGroupAlone(t *testing.T) {
	h := newHost(t, "loopback")
	h.local(t, "192.0.2.1/32")
	group := reroute(t, netip.MustParseAddr("192.0.2.1"))
	served, loopback := h.listen(t, "192.0.2.1:4711"), h.listen(t, "127.0.0.1:4711")
	connect := func(attr *syscall.SysProcAttr) {
		cmd := exec.Command("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/4711")
		cmd.SysProcAttr = attr
		if status := h.spawn(t, cmd).wait(t); status != 0 {
			t.Fatalf("connect: exit status %d", status)
		}
	}

	connect(&syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())})
	connect(nil)

	for _, listener := range []net.Listener{served, loopback} {
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}
