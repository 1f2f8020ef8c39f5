package fastpath

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestWayOfBeforeAChange: routes change, and what is known is checked, between the kernel's answer and the note of
// it. Nothing would check that again.
func TestWayOfBeforeAChange(t *testing.T) {
	devices := map[int]device{1: {"old", 1500}, 2: {"new", 1500}}
	w, through := &ways{known: map[addresses]way{}}, 1
	w.get = func(net.IP, *netlink.RouteGetOptions) ([]netlink.Route, error) {
		answer := []netlink.Route{{LinkIndex: through, Type: unix.RTN_UNICAST}}
		if through == 1 {
			through = 2
			if w.changed(devices) {
				t.Error("a change is seen of what was never asked about")
			}
		}
		return answer, nil
	}
	for range 2 {
		if got, err := w.of(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), 1, devices); err != nil || got.device != 2 {
			t.Errorf("the way is %+v, %v", got, err)
		}
	}
	if w.changed(devices) {
		t.Error("the kernel answers the same as before")
	}
}
