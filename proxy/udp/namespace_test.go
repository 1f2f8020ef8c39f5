package udp

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

const insideEnv = "ANYPORT_TEST_NAMESPACE"

// inNamespace reports whether the test runs in a network namespace of its own. If
// not, it runs the test again in a process that does, for the loop's sockets are
// opened on whatever thread it runs on, and takes over its result.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideEnv) == t.Name() {
		link, err := netlink.LinkByName("lo")
		check(t, err)
		check(t, netlink.LinkSetUp(link))
		return true
	}
	needRoot(t)
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	child.Env = append(os.Environ(), insideEnv+"="+t.Name())
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the death signal is that of the parent's thread
	defer runtime.UnlockOSThread()
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("in the namespace: %v\n%s", err, out)
	}
	return false
}

func setMTU(t *testing.T, mtu int) {
	t.Helper()
	link, err := netlink.LinkByName("lo")
	check(t, err)
	check(t, netlink.LinkSetMTU(link, mtu))
}

// routeHere makes all addresses of a prefix local, without setting one, until undo.
func routeHere(t *testing.T, prefix string) (undo func()) {
	t.Helper()
	link, err := netlink.LinkByName("lo")
	check(t, err)
	dst, err := netlink.ParseIPNet(prefix)
	check(t, err)
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Table: 255, Type: syscall.RTN_LOCAL, Scope: netlink.SCOPE_HOST}
	check(t, netlink.RouteAdd(route))
	return func() { check(t, netlink.RouteDel(route)) }
}
