package integration

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

// TestDNAT has a container engine take ports of every local address, served ones
// included. Doctor and explain report that for the ports and families concerned, and
// the command that doctor prints exempts the served addresses.
func TestDNAT(t *testing.T) {
	t.Parallel()
	const taken, free = dstV4 + ":8080", dstV4 + ":8081"
	for _, c := range []struct{ name, tool, rules, taken, free string }{
		{"iptables", "iptables", `
iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A DOCKER -i docker0 -j RETURN
iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.6:80
`, taken, free},
		{"iptables-legacy", "iptables-legacy", `
iptables-legacy -t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp -m multiport --dports 8080,9000:9009 -j DNAT --to-destination 10.0.0.6:80
`, taken, free},
		{"ip6tables", "ip6tables", `
ip6tables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 8080 -j DNAT --to-destination [fd00:5::6]:80
`, "[" + dstV6 + "]:8080", taken},
		{"nft", "nft", `
nft add table ip engine
nft add chain ip engine pre { type nat hook prerouting priority dstnat; }
nft add rule ip engine pre fib daddr type local tcp dport 8080 dnat to 10.0.0.6:80
`, taken, free},
		{"nft, inet, a verdict map", "nft", `
nft add table inet engine
nft add chain inet engine ports
nft add rule inet engine ports meta l4proto tcp dnat ip6 to [fd00:5::6]:80
nft add map inet engine nodeports { type inet_proto . inet_service : verdict ; }
nft add element inet engine nodeports { tcp . 8080 : goto ports, udp . 9000 : goto ports }
nft add chain inet engine pre { type nat hook prerouting priority dstnat; }
nft add rule inet engine pre fib daddr type local meta nfproto ipv6 meta l4proto . th dport vmap @nodeports
`, "[" + dstV6 + "]:8080", taken},
		{"redirect", "iptables", `
iptables -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 80
`, taken, free},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needTool(t, c.tool)
			r := newRig(t)
			r.origin.run(t, "ip addr add fd00:5::6/64 dev edge0 nodad")
			r.origin.both(t, "10.0.0.6:80", named("container"))
			r.origin.both(t, "[fd00:5::6]:80", named("container"))
			r.edge.serve(t, "198.51.100.1:80", func(conn net.Conn) { replyOnce(conn, named("container")) })
			r.edge.sysctl(t, map[string]string{"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"})
			r.origin.route(t, "198.51.100.0/24", "10.0.0.1")
			r.origin.route(t, "2001:db8:c::/64", "fd00:5::1")
			for _, address := range []string{"10.0.0.5", "[fd00:5::5]"} {
				r.origin.both(t, address+":8080", named("origin"))
				r.origin.both(t, address+":8081", named("origin"))
			}
			p := r.edge.serveWith(t, relayFile)
			r.asks(t, "origin", c.taken, c.free)
			r.edge.run(t, c.rules)
			r.asks(t, "container", c.taken)
			r.asks(t, "origin", c.free)

			report, _ := r.edge.doctor(t, p.file, nil)
			if got := report.found("dnat"); !strings.HasPrefix(got, "warning: a DNAT rule takes tcp 8080") {
				t.Errorf("doctor says %q", got)
			}
			for _, how := range [][]string{{"-c", p.file}, {"--socket", p.socket}} {
				explain := func(dst string) string {
					return r.edge.output(t, program, append([]string{"explain", "tcp", dst}, how...)...)
				}
				if got := explain(c.taken); !strings.Contains(got, "a DNAT rule takes its packets before the steering sees them") {
					t.Errorf("explain %v %s: %s", how, c.taken, got)
				}
				if got := explain(c.free); strings.Contains(got, "DNAT") {
					t.Errorf("explain %v %s: %s", how, c.free, got)
				}
			}

			for _, f := range report.Findings {
				if f.Check == "dnat" && f.Status != "ok" {
					r.edge.output(t, "sh", "-c", f.Mend)
				}
			}
			r.asks(t, "origin", c.taken, c.free)
			if report, _ = r.edge.doctor(t, p.file, nil); report.found("dnat") != "" {
				t.Errorf("doctor still says %q", report.found("dnat"))
			}
		})
	}
}

// asks asks dsts over TCP.
func (r *rig) asks(t *testing.T, want string, dsts ...string) {
	t.Helper()
	for _, dst := range dsts {
		if got := r.client.ask("tcp", netip.MustParseAddrPort(dst), want); got != want {
			t.Errorf("%s: %s, want %s", dst, got, want)
		}
	}
}
