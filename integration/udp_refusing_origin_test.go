package integration

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// pairOfOrigins is one route to two addresses of the origin host, of which one has no
// listener and answers with ICMP port unreachable.
type pairOfOrigins struct {
	balance, header string
	origins         [2]netip.AddrPort
	dead            int
	dst             netip.AddrPort
}

func (p pairOfOrigins) String() string {
	return fmt.Sprintf("%s, header %s, %v, %d is dead", p.balance, p.header, p.origins, p.dead)
}

func (p pairOfOrigins) toml(i int) string {
	return fmt.Sprintf(`
[route.r%d]
protocol = "udp"
prefixes = [%q]
origins  = ["%v", "%v"]
balance  = %q
proxy_protocol = %q
`, i, p.dst.Addr(), p.origins[0], p.origins[1], p.balance, p.header)
}

// serve has one of the two answer with its index; an SPP header is sent back first.
func (p pairOfOrigins) serve(t *testing.T, h *host, which int) *net.UDPConn {
	return h.answer(t, p.origins[which].String(), func(question []byte) []byte {
		var header []byte
		if p.header == "spp" {
			header = question[:38]
		}
		return fmt.Appendf(header, "%d ", which)
	})
}

// pairsOfOrigins are all balance modes and headers over both families, each with either of
// the two dead.
func pairsOfOrigins() (pairs []pairOfOrigins) {
	for _, hosts := range [][2]string{{originV4, "10.0.0.6"}, {originV6, "fd00:5::6"}} {
		for _, balance := range []string{"round_robin", "least_conn", "random", "source_hash", "first"} {
			for _, header := range []string{"off", "v2", "v2-first", "spp"} {
				for dead := range 2 {
					n := len(pairs) + 1
					p := pairOfOrigins{balance: balance, header: header, dead: dead}
					for i, host := range hosts {
						p.origins[i] = netip.AddrPortFrom(netip.MustParseAddr(host), uint16(4000+n))
					}
					prefix := map[bool]string{true: "192.0.2.%d", false: "2001:db8:1::%x"}[p.origins[0].Addr().Is4()]
					p.dst = netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf(prefix, n)), 4711)
					pairs = append(pairs, p)
				}
			}
		}
	}
	return pairs
}

// newRefusingRig serves pairs of which one origin is up.
func newRefusingRig(t *testing.T, pairs []pairOfOrigins) (*rig, *proxy, []*net.UDPConn) {
	r := newRig(t)
	r.origin.run(t, "ip addr add fd00:5::6/64 dev edge0 nodad")
	r.origin.answerAllErrors(t)
	var toml strings.Builder
	var alive []*net.UDPConn
	for i, p := range pairs {
		alive = append(alive, p.serve(t, r.origin, 1-p.dead))
		toml.WriteString(p.toml(i))
	}
	return r, r.edge.serveWith(t, toml.String()), alive
}

// TestRefusingOrigin checks that no new flow is lost to an origin that answers with
// ICMP port unreachable, not even the one that finds out, and that the origin is used
// again once it is back.
func TestRefusingOrigin(t *testing.T) {
	t.Parallel()
	pairs := pairsOfOrigins()
	r, edge, _ := newRefusingRig(t, pairs)
	const flows = 12
	var all sync.WaitGroup
	for _, p := range pairs {
		all.Go(func() {
			answered := 0
			for range flows {
				if r.client.ask("udp", p.dst, silent) == fmt.Sprint(1-p.dead) {
					answered++
				}
			}
			if answered != flows {
				t.Errorf("%v: %d of %d new flows were answered", p, answered, flows)
			}
		})
	}
	all.Wait()
	edge.expect(t, "an origin refuses datagrams", "level=WARN", "origin="+originV4)
	refusals := uint64(0)
	for _, route := range edge.status(t).Routes {
		for _, o := range route.Origins {
			refusals += o.Refusals
		}
	}
	if refusals == 0 {
		t.Error("no refusal is counted")
	}
	for _, p := range pairs {
		all.Go(func() { p.comesBack(t, r) })
	}
	all.Wait()
	edge.expect(t, "an origin answers datagrams again", "level=INFO")
}

// comesBack checks that the origin that was down gets flows once it is back. With
// source_hash or first a client may belong to the other origin.
func (p pairOfOrigins) comesBack(t *testing.T, r *rig) {
	if p.balance == "source_hash" || p.balance == "first" && p.dead == 1 {
		return
	}
	p.serve(t, r.origin, p.dead)
	for deadline := time.Now().Add(patience); r.client.ask("udp", p.dst, "") != fmt.Sprint(p.dead); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%v: it is not used again", p)
			return
		}
	}
}

// TestRefusedLater checks that a flow continues with another origin when the one that
// answered it has ended, and that `status` shows that origin as down meanwhile.
func TestRefusedLater(t *testing.T) {
	t.Parallel()
	var pairs []pairOfOrigins
	for _, p := range pairsOfOrigins() {
		if p.balance == "first" && p.dead == 1 { // the second one
			pairs = append(pairs, p)
		}
	}
	r, edge, first := newRefusingRig(t, pairs)
	for i, p := range pairs {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			p.serve(t, r.origin, 1)
			conn := r.client.dial(t, "udp", p.dst.String())
			if got := trade(t, conn, "who?"); got != "0 " {
				t.Fatalf("%q answers", got)
			}
			first[i].Close()
			eventually(t, "the other origin answers", func() bool {
				conn.SetDeadline(time.Now().Add(silence))
				conn.Write([]byte("who now?"))
				var answer [10]byte
				n, _ := conn.Read(answer[:])
				return string(answer[:n]) == "1 "
			})
			eventually(t, "status has one as down", func() bool {
				r.client.ask("udp", p.dst, silent) // a new flow tries it again
				origins := edge.status(t).route(t, fmt.Sprint("r", i)).Origins
				return !origins[0].Up && origins[1].Up
			})
		})
	}
}

// TestUnreachableOrigin checks the same for an origin whose host cannot be reached, as
// the router before it reports: "host unreachable" over IPv4, "no route" over IPv6.
func TestUnreachableOrigin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.answerAllErrors(t)
	r.origin.sysctl(t, map[string]string{"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"})
	r.origin.run(t, "ip route add unreachable 10.7.0.0/24")
	r.origin.run(t, "ip route add unreachable fd00:7::/64")
	r.edge.route(t, "10.7.0.0/24", originV4)
	r.edge.route(t, "fd00:7::/64", originV6)
	var toml strings.Builder
	var pairs []pairOfOrigins
	for _, origins := range [][2]string{{"10.7.0.1:%d", originV4 + ":%d"}, {"[fd00:7::1]:%d", "[" + originV6 + "]:%d"}} {
		for _, header := range []string{"off", "spp"} {
			n := len(pairs)
			dst := [...]string{"192.0.2.%d:4711", "[2001:db8:1::%d]:4711"}[n/2]
			p := pairOfOrigins{balance: "first", header: header, dst: netip.MustParseAddrPort(fmt.Sprintf(dst, n+1))}
			for i := range origins {
				p.origins[i] = netip.MustParseAddrPort(fmt.Sprintf(origins[i], 4000+n))
			}
			p.serve(t, r.origin, 1)
			toml.WriteString(p.toml(n))
			pairs = append(pairs, p)
		}
	}
	r.edge.serveWith(t, toml.String())
	for _, p := range pairs {
		for flow := range 12 {
			if got := r.client.ask("udp", p.dst, silent); got != "1" {
				t.Errorf("%v: flow %d: %s", p, flow, got)
			}
		}
	}
}

// TestClosedPort checks that a closed port of an origin does not affect its other
// ports.
func TestClosedPort(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.answerAllErrors(t)
	r.origin.answer(t, "10.0.0.5:4000", named("first"))
	r.origin.answer(t, "10.0.0.6:4000", named("second"))
	r.origin.answer(t, "10.0.0.6:4001", named("second"))
	edge := r.edge.serveWith(t, `
[route.all]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5", "10.0.0.6"]
balance  = "first"
`)
	closed, open := netip.MustParseAddrPort(dstV4+":4001"), netip.MustParseAddrPort(dstV4+":4000")
	for range 12 {
		if got := r.client.ask("udp", closed, silent); got != "second" {
			t.Errorf("the port that one origin has closed: %s", got)
		}
		if got := r.client.ask("udp", open, silent); got != "first" {
			t.Errorf("another port: %s", got)
		}
	}
	for _, o := range edge.status(t).route(t, "all").Origins {
		if !o.Up {
			t.Errorf("%s is down for one closed port", o.Address)
		}
	}
}
