package table_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
	"anyport/steering/internal/tabletest"
)

func TestExplain(t *testing.T) {
	vip := tabletest.Route("vip", "1-65535", "192.0.2.80")
	vip.Allow = tabletest.Prefixes("198.51.100.0/24")
	vip.Deny = tabletest.Prefixes("198.51.100.7")
	vip.Denied = config.Drop
	vip.Origins = []config.Origin{
		{Addr: netip.MustParseAddr("10.0.0.5"), Weight: 1},
		{Addr: netip.MustParseAddr("2001:db8:5::1"), Ports: tabletest.PortRange("8080"), Weight: 3, Backup: true},
	}
	behind := tabletest.Route("behind", "443", "192.0.2.81")
	behind.Deny, behind.AcceptProxy = tabletest.Prefixes("10.0.0.0/8"), tabletest.Prefixes("10.0.0.0/24")
	behind.Origins = vip.Origins[:1]
	table := tabletest.Compile(t, append(precedence(), vip, behind)...)

	for _, test := range []struct{ name, dst, client, want string }{
		{"the longest prefix wins", "192.0.2.80:80", "", `verdict: steer
route: vip
prefix: 192.0.2.80/32
ports: 1-65535
origin: 10.0.0.5:80
origin: [2001:db8:5::1]:8080 weight 3 backup
because: route "net" on 192.0.2.0/24 lost: 192.0.2.80/32 of route "vip" is longer
because: route "web" on 192.0.2.0/24 lost: 192.0.2.80/32 of route "vip" is longer
because: route "telnet" on 192.0.2.0/24 lost: its ports do not hold 80
because: route "vip" on 192.0.2.80/32 won: it has the longest prefix, then the narrowest ports (1-65535)
because: route "vip" does not admit every client: ask with --from
`},
		{"a denied client", "192.0.2.80:80", "::ffff:198.51.100.7", `verdict: deny
route: vip
prefix: 192.0.2.80/32
ports: 1-65535
origin: -
because: route "net" on 192.0.2.0/24 lost: 192.0.2.80/32 of route "vip" is longer
because: route "web" on 192.0.2.0/24 lost: 192.0.2.80/32 of route "vip" is longer
because: route "telnet" on 192.0.2.0/24 lost: its ports do not hold 80
because: route "vip" on 192.0.2.80/32 won: it has the longest prefix, then the narrowest ports (1-65535)
because: client 198.51.100.7: deny of route "vip" has 198.51.100.7/32; denied = "drop"
`},
		{"a peer that names clients", "192.0.2.81:443", "10.0.0.9", peerHead("steer", "10.0.0.5:443") + `because: peer 10.0.0.9: accept_proxy of route "behind" has 10.0.0.0/24
because: client: allow and deny of route "behind" apply to the one that the peer's PROXY header names
`},
		{"another peer", "192.0.2.81:443", "198.51.100.7", peerHead("deny", "-") + `because: peer 198.51.100.7: accept_proxy of route "behind" does not hold it; denied = "refuse"
`},
		{"any peer", "192.0.2.81:443", "", peerHead("steer", "10.0.0.5:443") + `because: route "behind" admits only the peers of its accept_proxy: ask with --from
`},
		{"the narrowest ports win", "192.0.2.1:80", "198.51.100.7", `verdict: steer
route: web
prefix: 192.0.2.0/24
ports: 80
origin: 10.0.0.5:80
because: route "net" on 192.0.2.0/24 lost: its ports 1-65535 are wider than 80 of route "web"
because: route "web" on 192.0.2.0/24 won: it has the longest prefix, then the narrowest ports (80)
because: route "telnet" on 192.0.2.0/24 lost: its ports do not hold 80
`},
		{"no route takes it", "192.0.2.53:22", "", `verdict: refuse
route: -
prefix: 192.0.2.53/32
ports: -
origin: -
because: route "net" on 192.0.2.0/24 lost: its except_ports hold 22 (22)
because: route "web" on 192.0.2.0/24 lost: its ports do not hold 22
because: route "telnet" on 192.0.2.0/24 lost: its ports do not hold 22
because: route "dns" on 192.0.2.53/32 lost: its ports do not hold 22
because: no route takes tcp port 22: [steering] unmatched = "refuse"
`},
		{"no prefix holds it", "203.0.113.1:80", "", `verdict: pass
route: -
prefix: -
ports: -
origin: -
because: no prefix holds 203.0.113.1: its packets are not steered
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var client netip.Addr
			if test.client != "" {
				client = netip.MustParseAddr(test.client)
			}
			got := table.Explain(config.TCP, netip.MustParseAddrPort(test.dst), client).String()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// peerHead is how the explanations of the route with accept_proxy begin.
func peerHead(verdict, origin string) string {
	return "verdict: " + verdict + `
route: behind
prefix: 192.0.2.81/32
ports: 443
origin: ` + origin + `
because: route "net" on 192.0.2.0/24 lost: 192.0.2.81/32 of route "behind" is longer
because: route "web" on 192.0.2.0/24 lost: its ports do not hold 443
because: route "telnet" on 192.0.2.0/24 lost: its ports do not hold 443
because: route "behind" on 192.0.2.81/32 won: it has the longest prefix, then the narrowest ports (443)
`
}
