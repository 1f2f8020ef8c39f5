package netnstest

import (
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// InNamespace is Enter, and sets loopback up.
func InNamespace(t testing.TB) {
	t.Helper()
	Enter(t)
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
}

// Enter moves the test into a network namespace of its own, anonymous, in which nothing is up. The
// thread is never unlocked, so it and the namespace end with the test. Without root the test is
// skipped; REQUIRE_ROOT=1 makes that a failure.
func Enter(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_ROOT") == "1" {
			t.Fatal("not root")
		}
		t.Skip("needs root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}
