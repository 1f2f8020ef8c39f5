package integration

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

// run runs shell commands, one a line, on the host.
func (h *host) run(t *testing.T, script string) {
	t.Helper()
	for line := range strings.Lines(strings.TrimSpace(script)) {
		words := strings.Fields(line)
		h.output(t, words[0], words[1:]...)
	}
}

const tproxyRoutes = `
ip -4 rule add fwmark 1 lookup 100
ip -4 route add local 0.0.0.0/0 dev lo table 100
ip -6 rule add fwmark 1 lookup 100
ip -6 route add local ::/0 dev lo table 100
`

// tproxyRules are left over from a proxy that ran here before anyport and does not run any more.
const tproxyRules = `
iptables -t mangle ACTION PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9 --tproxy-mark 1
ip6tables -t mangle ACTION PREROUTING -p tcp -d 2001:db8:1::/48 -j TPROXY --on-ip ::1 --on-port 9 --tproxy-mark 1
`

// TestTPROXYPutBack adds a TPROXY rule for what anyport serves. New conns follow the
// rule, but live ones continue: TPROXY looks up their sockets, and drops the packets of
// those that are not transparent.
func TestTPROXYPutBack(t *testing.T) {
	t.Parallel()
	needTool(t, "iptables")
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.serve(t, "[fd00:5::5]:4711", echo)
	r.edge.run(t, tproxyRoutes)
	r.edge.serveWith(t, relayFile)
	dsts := []string{dstV4 + ":4711", "[" + dstV6 + "]:4711"}
	var conns []net.Conn
	for _, dst := range dsts {
		conns = append(conns, r.client.dial(t, "tcp", dst))
	}
	goOn := func(when string) {
		t.Helper()
		for range 10 {
			for _, conn := range conns {
				talk(t, conn, when)
			}
		}
	}
	r.edge.run(t, strings.ReplaceAll(tproxyRules, "ACTION", "-A"))
	goOn("with the rule")
	for _, dst := range dsts {
		if got := r.client.ask("tcp", netip.MustParseAddrPort(dst), silent); got != silent {
			t.Errorf("a new conn to %s: %s, want it lost to the rule", dst, got)
		}
	}
	r.edge.run(t, strings.ReplaceAll(tproxyRules, "ACTION", "-D"))
	goOn("without the rule")
	for _, dst := range dsts {
		talk(t, r.client.dial(t, "tcp", dst), "a new conn")
	}
}

// A firewall as many hosts have it: what is served may begin, all else only answer.
const statefulFilter = `
iptables -A INPUT -i lo -j ACCEPT
iptables -A INPUT -m conntrack --ctstate INVALID -j DROP
iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
iptables -A INPUT -d 192.0.2.0/24 -m conntrack --ctstate NEW -j ACCEPT
iptables -P INPUT DROP
iptables -A OUTPUT -m conntrack --ctstate INVALID -j DROP
`

// TestStatefulFilter checks that conntrack classifies conns and flows through anyport
// correctly: no packet is INVALID, and answers are ESTABLISHED.
func TestStatefulFilter(t *testing.T) {
	t.Parallel()
	needTool(t, "iptables")
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:4711", named("origin"))
	r.origin.serve(t, "10.0.0.5:4712", echo)
	r.origin.answer(t, "10.0.0.5:4712", named("origin"))
	r.edge.run(t, statefulFilter)
	r.edge.serveWith(t, relayFile)
	conn, flow := r.client.dial(t, "tcp", dstV4+":4712"), r.client.dial(t, "udp", dstV4+":4712")
	for range 20 {
		talk(t, conn, "a conn that lasts")
		if got := trade(t, flow, "a flow that lasts"); got != "origin a flow that lasts" {
			t.Fatalf("answered %q", got)
		}
		r.reach(t, "origin", dstV4+":4711")
	}
}
