package route

import (
	"net/netip"
	"testing"

	"anyport/config"
)

func TestMirror(t *testing.T) {
	one := []config.Origin{{Text: "10.0.0.5", Addr: netip.MustParseAddr("10.0.0.5"), Weight: 1}}
	two := append(one, config.Origin{Text: "10.0.0.6", Addr: netip.MustParseAddr("10.0.0.6"), Weight: 1})
	dst := netip.MustParseAddrPort("192.0.2.1:80")
	for _, test := range []struct {
		mirror   bool
		origins  []config.Origin
		protocol config.Protocol
		want     int
	}{
		{false, one, config.TCP, 0},
		{true, one, config.TCP, 1},
		{true, two, config.TCP, 1}, // all of them were asked
		{true, one, config.UDP, 1},
		{true, two, config.UDP, 0},
	} {
		r, calls := serving(&config.Route{MirrorClosed: test.mirror, Origins: test.origins}), 0
		Mirror(func(protocol config.Protocol, at netip.AddrPort) {
			if protocol != test.protocol || at != dst {
				t.Errorf("called with %v %v", protocol, at)
			}
			calls++
		}).Refused(r, test.protocol, dst)
		if calls != test.want {
			t.Errorf("%+v: called %d times", test, calls)
		}
		Mirror(nil).Refused(r, test.protocol, dst)
	}
}
