package integration

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// socketFirst are the set-ups whose socket match precedes the TPROXY rules, for both families.
var socketFirst = []struct{ name, tool, rules string }{
	{"iptables", "iptables", eachFamily("iptables")},
	{"iptables-legacy", "iptables-legacy", eachFamily("iptables-legacy")},
	{"nft", "nft", `
nft add table inet t
nft add chain inet t pre { type filter hook prerouting priority mangle; }
nft add rule inet t pre meta l4proto tcp socket transparent 1 meta mark set 1 accept
nft add rule inet t pre ip daddr 192.0.2.0/24 meta l4proto tcp tproxy ip to 127.0.0.1:9000 meta mark set 1 accept
nft add rule inet t pre ip6 daddr 2001:db8:1::/48 meta l4proto tcp tproxy ip6 to [::1]:9000 meta mark set 1 accept
`},
}

// eachFamily has the rules of iptables for both families.
func eachFamily(command string) string {
	v4 := `iptables -t mangle -N DIVERT
iptables -t mangle -A DIVERT -j MARK --set-mark 1
iptables -t mangle -A DIVERT -j ACCEPT
iptables -t mangle -A PREROUTING -p tcp -m socket --transparent -j DIVERT
iptables -t mangle -A PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1
`
	v4 = strings.ReplaceAll(v4, "iptables", command)
	return v4 + strings.NewReplacer("iptables", "ip6tables", "192.0.2.0/24", "2001:db8:1::/48", "127.0.0.1", "::1").Replace(v4)
}

// widenGap puts so many rules between the lookup of the socket match and that of TCP that a SYN is
// often between the two when something changes.
func (r *rig) widenGap(t *testing.T) {
	t.Helper()
	var rules strings.Builder
	rules.WriteString("add table inet gap\nadd chain inet gap in { type filter hook input priority 0; }\n" +
		"add rule inet gap in tcp flags & (syn | ack) != syn accept\n")
	for i := range 8000 {
		fmt.Fprintf(&rules, "add rule inet gap in tcp sport %d tcp dport %d counter\n", i%1000+1, i/1000+1)
	}
	r.edge.output(t, "nft", "-f", inFile(t, rules.String()))
}

// crowd is what clients that connect all the time have met.
type crowd struct{ opened, byOld, refused, cut, late atomic.Int64 }

func (l *crowd) String() string {
	return fmt.Sprintf("%d conns, %d by the old proxy, %d refused, %d cut, %d took over 500 ms",
		l.opened.Load(), l.byOld.Load(), l.refused.Load(), l.cut.Load(), l.late.Load())
}

// connectAll has clients open one conn after another to dsts, until stop is called.
func (r *rig) connectAll(t *testing.T, clients int, dsts ...string) (l *crowd, stop func()) {
	t.Helper()
	l = &crowd{}
	var over atomic.Bool
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { // ended by stop
			r.client.do(func() {
				for n := i; !over.Load(); n++ {
					l.connect(t, dsts[n%len(dsts)])
				}
			})
		})
	}
	return l, func() { over.Store(true); all.Wait() }
}

// connect opens one conn and asks who carries it.
func (l *crowd) connect(t *testing.T, dst string) {
	begun := time.Now()
	conn, err := dialHere("tcp", "", dst)
	l.opened.Add(1)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		l.refused.Add(1)
		return
	case err != nil:
		t.Errorf("%s: %v", dst, err)
		return
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetLinger(0) // or the ports are used up
	conn.SetDeadline(begun.Add(patience))
	from, err := carriedBy(conn)
	if err != nil {
		t.Logf("%s after %v: %v", dst, time.Since(begun), err)
		l.cut.Add(1)
	}
	if from == byHAProxy {
		l.byOld.Add(1)
	}
	if time.Since(begun) > 500*time.Millisecond {
		l.late.Add(1)
	}
}

// TestSwitchBackUnderLoad: anyport has the new conns because a socket match precedes the TPROXY rules. It ends while
// many clients connect, told to or unconfirmed: the old proxy has the new conns again, and none is refused or cut.
func TestSwitchBackUnderLoad(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	for _, c := range socketFirst {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needTool(t, c.tool)
			r := newRig(t)
			r.origin.serve(t, "["+originV6+"]:4711", carrier)
			r.serveOld(t, strings.TrimSpace(c.rules))
			r.widenGap(t)
			met, stop := r.connectAll(t, soak(2, 8), dstV4+":4711", "["+dstV6+"]:4711")
			for range soak(3, 60) {
				p := r.edge.launchWith(t, relayFile, "--confirm", "0")
				p.expect(t, "msg=serving")
				r.awaitCarrier(t, byAnyport)
				p.signal(t, syscall.SIGTERM)
				r.expectBack(t, p, 0)
			}
			for range soak(1, 60) {
				p := r.edge.launchWith(t, relayFile, "--confirm", "1s")
				p.expect(t, "giving the prefixes back")
				r.expectBack(t, p, 3)
			}
			stop()
			t.Log(met)
			if met.refused.Load()+met.cut.Load() > 0 {
				t.Error("new conns were refused or cut")
			}
		})
	}
}

// expectBack waits until the old proxy has the new conns and anyport has ended with status.
func (r *rig) expectBack(t *testing.T, p *proxy, status int) {
	t.Helper()
	r.awaitCarrier(t, byHAProxy)
	if got := p.wait(t); got != status {
		t.Errorf("anyport ended with %d, want %d", got, status)
	}
}
