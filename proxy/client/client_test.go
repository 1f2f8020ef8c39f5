package client

import (
	"net/netip"
	"testing"
)

func TestOfAndNetwork(t *testing.T) {
	for _, test := range []struct{ addr, client, network string }{
		{"192.0.2.7", "192.0.2.7", "192.0.2.0"},
		{"::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0"},
		{"2001:db8:1:2ff:3:4:5:6", "2001:db8:1:2ff::", "2001:db8:1:200::"},
		{"fe80::1%eth0", "fe80::", "fe80::"},
	} {
		addr := netip.MustParseAddr(test.addr)
		if got := Of(addr).String(); got != test.client {
			t.Errorf("Of(%s) = %s, want %s", addr, got, test.client)
		}
		if got := Network(addr).String(); got != test.network {
			t.Errorf("Network(%s) = %s, want %s", addr, got, test.network)
		}
	}
	if got := Of(netip.Addr{}); got.IsValid() {
		t.Errorf("Of(no address) = %s", got)
	}
}
