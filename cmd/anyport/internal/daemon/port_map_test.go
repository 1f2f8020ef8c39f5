package daemon

import (
	"net/netip"
	"slices"
	"testing"

	"anyport/config"
	"anyport/proxy/route"
)

// TestHotPorts: ports are counted and sorted by their live conns, and both lists are bounded.
func TestHotPorts(t *testing.T) {
	conn := func(port int) route.Conn {
		return route.Conn{Protocol: config.TCP, Dst: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(port)), ToOrigin: 1, ToClient: 2}
	}
	all := func(*route.Conn) bool { return true }
	hot, partial := hotPorts(slices.Values([]route.Conn{conn(1), conn(80), conn(80), conn(2)}), all)
	if partial || len(hot) != 3 || hot[0].Port != 80 || hot[0].Conns != 2 || hot[0].Bytes != 6 || hot[1].Port != 1 {
		t.Errorf("%+v, partial %t", hot, partial)
	}
	if hot, partial := hotPorts(slices.Values([]route.Conn{conn(1)}), func(*route.Conn) bool { return false }); hot == nil || len(hot) != 0 || partial {
		t.Errorf("of no conn: %v, %t", hot, partial)
	}
	many := func(n int) func(func(route.Conn) bool) {
		return func(yield func(route.Conn) bool) {
			for i := range n {
				if !yield(conn(i % 65536)) {
					return
				}
			}
		}
	}
	if hot, partial := hotPorts(many(hotShown+1), all); len(hot) != hotShown || !partial {
		t.Errorf("%d ports are listed, partial %t", len(hot), partial)
	}
	if _, partial := hotPorts(many(connsCounted+1), func(c *route.Conn) bool { return c.Dst.Port() == 1 }); !partial {
		t.Error("more conns than are counted, and the answer is not partial")
	}
}
