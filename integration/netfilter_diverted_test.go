package integration

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTPROXYDiverted starts anyport beside a proxy that gets its conns by TPROXY rules.
// If the usual socket match precedes the rules, new conns go to anyport at once;
// without it they still go to the proxy, and doctor says so beforehand.
func TestTPROXYDiverted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, tool, rules, says, then string }{
		{"iptables, DIVERT", "iptables", `
iptables -t mangle -N DIVERT
iptables -t mangle -A DIVERT -j MARK --set-mark 1
iptables -t mangle -A DIVERT -j ACCEPT
iptables -t mangle -A PREROUTING -p tcp -m socket --transparent -j DIVERT
iptables -t mangle -A PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1
`, "warning: a TPROXY rule would lose: ", "origin"},
		{"iptables, TPROXY alone", "iptables", `
iptables -t mangle -A PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1
`, "warning: a TPROXY rule would win: ", "proxy"},
		{"iptables, a mark alone", "iptables", `
iptables -t mangle -A PREROUTING -p tcp -m socket --transparent -j MARK --set-mark 1
iptables -t mangle -A PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1
`, "warning: a TPROXY rule would win: ", "proxy"},
		{"nft, socket", "nft", `
nft add table ip t
nft add chain ip t pre { type filter hook prerouting priority mangle; }
nft add rule ip t pre meta l4proto tcp socket transparent 1 meta mark set 1 accept
nft add rule ip t pre ip daddr 192.0.2.0/24 meta l4proto tcp tproxy to 127.0.0.1:9000 meta mark set 1
`, "warning: a TPROXY rule would lose: ", "origin"},
		{"nft, tproxy alone", "nft", `
nft add table ip t
nft add chain ip t pre { type filter hook prerouting priority mangle; }
nft add rule ip t pre ip daddr 192.0.2.0/24 meta l4proto tcp tproxy to 127.0.0.1:9000 meta mark set 1
`, "warning: a TPROXY rule would win: ", "proxy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needTool(t, c.tool)
			r := newRig(t)
			r.origin.both(t, "10.0.0.5:4711", named("origin"))
			r.edge.run(t, tproxyRoutes)
			r.edge.run(t, c.rules)
			r.edge.serveTransparent(t, "127.0.0.1:9000", named("proxy"))
			dst := netip.MustParseAddrPort(dstV4 + ":4711")
			if got := r.client.ask("tcp", dst, "proxy"); got != "proxy" {
				t.Fatalf("without anyport: %s", got)
			}
			report, _ := r.edge.doctor(t, inFile(t, relayFile), nil)
			if got := report.found("tproxy"); !strings.HasPrefix(got, c.says) {
				t.Errorf("doctor says %q, want %q", got, c.says)
			}
			r.edge.launchWith(t, relayFile, "--confirm", "0").expect(t, "msg=serving") // without the flag it asks: TestTakeover
			if got := r.client.ask("tcp", dst, c.then); got != c.then {
				t.Errorf("beside anyport: %s, want %s", got, c.then)
			}
		})
	}
}

// serveTransparent answers every conn that a TPROXY rule hands to the address.
func (h *host) serveTransparent(t *testing.T, address string, reply func([]byte) []byte) {
	t.Helper()
	listener := h.listen(t, address)
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1) })
	if err := errors.Join(controlErr, err); err != nil {
		t.Fatal(err)
	}
	go func() { // ended by the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			replyOnce(conn, reply)
			conn.Close()
		}
	}()
}
