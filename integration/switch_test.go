package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The addresses that the two proxies dial the origin from: the origin says which one carries a conn.
const (
	byAnyport = "10.0.0.1"
	byHAProxy = "10.0.0.2"
)

// oldProxy is HAProxy behind TPROXY rules, as its manual and the guides have it. It keeps the port that the
// client asked for.
const oldProxy = `
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
listen any
  bind 127.0.0.1:9000 transparent
  bind ::1:9000 transparent
  server origin 10.0.0.5 source 10.0.0.2
`

// carrier answers each line with the address of who has dialled, until the end of the conn.
func carrier(conn net.Conn) {
	from := conn.RemoteAddr().(*net.TCPAddr).IP
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprintf(conn, "%s %s", from, line)
	}
}

// carriedBy asks on a live conn who carries it.
func carriedBy(conn net.Conn) (string, error) {
	if _, err := io.WriteString(conn, "who?\n"); err != nil {
		return "", err
	}
	var from string
	_, err := fmt.Fscanf(bufio.NewReader(conn), "%s who?\n", &from)
	return from, err
}

// serveOld starts the proxy that is to be replaced, with the rules that bring it conns, and returns when it serves.
func (r *rig) serveOld(t *testing.T, rules string) *process {
	t.Helper()
	r.origin.serve(t, "10.0.0.5:4711", carrier)
	r.edge.run(t, "ip addr add "+byHAProxy+"/24 dev origin0")
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(oldProxy), 0o600); err != nil {
		t.Fatal(err)
	}
	r.edge.run(t, tproxyRoutes)
	old := r.edge.spawn(t, exec.Command(needTool(t, "haproxy"), "-db", "-f", file))
	r.edge.run(t, rules)
	r.awaitCarrier(t, byHAProxy)
	return old
}

// awaitCarrier returns when new conns are carried by one proxy.
func (r *rig) awaitCarrier(t *testing.T, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if conn, err := r.client.tryDial("tcp", "", dstV4+":4711"); err == nil {
			conn.SetDeadline(end)
			got, err = carriedBy(conn)
			conn.Close()
			if err == nil && got == want {
				return
			}
		}
	}
	t.Fatalf("new conns are carried by %q, want %s", got, want)
}

// longConn is a conn that lives through the switch.
func (r *rig) longConn(t *testing.T, want string) net.Conn {
	t.Helper()
	conn := r.client.dial(t, "tcp", dstV4+":4711")
	expectCarrier(t, conn, want)
	return conn
}

func expectCarrier(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	if got, err := carriedBy(conn); got != want || err != nil {
		t.Errorf("a live conn is carried by %q, want %s: %v", got, want, err)
	}
}

// newConns opens one conn after another until stop is called, which returns how many there were. A conn that
// is refused, cut or not answered fails the test.
func (r *rig) newConns(t *testing.T) (stop func() int) {
	t.Helper()
	var over atomic.Bool
	ended := make(chan int)
	go func() { // ended by stop
		n := 0
		for ; !over.Load(); n++ {
			conn, err := r.client.tryDial("tcp", "", dstV4+":4711")
			if err != nil {
				t.Errorf("new conn %d: %v", n, err)
				break
			}
			conn.SetDeadline(time.Now().Add(patience))
			if _, err := carriedBy(conn); err != nil {
				t.Errorf("new conn %d is cut: %v", n, err)
			}
			conn.Close()
		}
		ended <- n
	}()
	return func() int { over.Store(true); return <-ended }
}

// switchCases are the ways in which packets come to the old proxy. takes are the commands that give it new
// conns, drops those that take them away.
var switchCases = []struct {
	name, tool  string
	before      string // chains, and what stays until the end
	adds, drops string
	atOnce      bool // anyport has the new conns from its start on
}{
	{"iptables, TPROXY alone", "iptables", "",
		"iptables -t mangle -A PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1",
		"iptables -t mangle -D PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1",
		false},
	{"iptables, DIVERT first", "iptables", `
iptables -t mangle -N DIVERT
iptables -t mangle -A DIVERT -j MARK --set-mark 1
iptables -t mangle -A DIVERT -j ACCEPT
iptables -t mangle -A PREROUTING -p tcp -m socket --transparent -j DIVERT
`,
		"iptables -t mangle -A PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1",
		"iptables -t mangle -D PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1",
		true},
	{"iptables-legacy, TPROXY alone", "iptables-legacy", "",
		"iptables-legacy -t mangle -A PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1",
		"iptables-legacy -t mangle -D PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-ip 127.0.0.1 --on-port 9000 --tproxy-mark 1",
		false},
	{"nft", "nft", `
nft add table ip t
nft add chain ip t old
nft add chain ip t pre { type filter hook prerouting priority mangle; }
nft add rule ip t pre jump old
`,
		"nft add rule ip t old ip daddr 192.0.2.0/24 meta l4proto tcp tproxy to 127.0.0.1:9000 meta mark set 1 accept",
		"nft flush chain ip t old", false},
	{"nft, socket first", "nft", `
nft add table ip t
nft add chain ip t old
nft add chain ip t pre { type filter hook prerouting priority mangle; }
nft add rule ip t pre meta l4proto tcp socket transparent 1 meta mark set 1 accept
nft add rule ip t pre jump old
`,
		"nft add rule ip t old ip daddr 192.0.2.0/24 meta l4proto tcp tproxy to 127.0.0.1:9000 meta mark set 1 accept",
		"nft flush chain ip t old", true},
}

// TestSwitch replaces HAProxy behind TPROXY rules by anyport, and goes back, by the steps of the guide: no new
// conn is refused or cut, and live ones stay with the proxy that has them.
func TestSwitch(t *testing.T) {
	t.Parallel()
	for _, c := range switchCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needTool(t, c.tool)
			r := newRig(t)
			r.serveOld(t, strings.TrimSpace(strings.TrimSpace(c.before)+"\n"+c.adds))
			oldConn := r.longConn(t, byHAProxy)
			stop := r.newConns(t)

			p := r.edge.launchAs(t, func(file string) *exec.Cmd {
				return exec.Command(program, "run", "--confirm", "5m", "-c", file)
			}, relayFile)
			p.expect(t, "msg=serving")
			if c.atOnce {
				r.awaitCarrier(t, byAnyport)
				p.confirm(t)
			} else {
				r.longConn(t, byHAProxy)
			}
			expectCarrier(t, oldConn, byHAProxy)
			r.edge.run(t, c.drops)
			r.awaitCarrier(t, byAnyport)
			if !c.atOnce {
				p.confirm(t)
			}
			newConn := r.longConn(t, byAnyport)
			expectCarrier(t, oldConn, byHAProxy)

			// And back: the rule first, then anyport stops.
			r.edge.run(t, c.adds)
			if !c.atOnce {
				r.awaitCarrier(t, byHAProxy)
			}
			expectCarrier(t, newConn, byAnyport)
			p.signal(t, syscall.SIGTERM)
			r.awaitCarrier(t, byHAProxy)
			expectCarrier(t, newConn, byAnyport)
			expectCarrier(t, oldConn, byHAProxy)
			if n := stop(); n < 10 {
				t.Errorf("only %d new conns", n)
			}
			newConn.Close()
			if status := p.wait(t); status != 0 {
				t.Errorf("anyport ended with %d", status)
			}
			r.longConn(t, byHAProxy)
		})
	}
}

// confirm types `anyport confirm`.
func (p *proxy) confirm(t *testing.T) {
	t.Helper()
	if got := anyport(t, "confirm", "--socket", p.socket); got.status != 0 || !strings.HasPrefix(got.stdout, "confirmed with ") {
		t.Fatalf("anyport confirm: %+v", got)
	}
}

// TestOldProxyDies: what happens to new conns if the old proxy ends while its rules are there, with anyport beside
// it. The guide has this table.
func TestOldProxyDies(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	for _, c := range switchCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needTool(t, c.tool)
			r := newRig(t)
			old := r.serveOld(t, strings.TrimSpace(strings.TrimSpace(c.before)+"\n"+c.adds))
			p := r.edge.launchWith(t, relayFile, "--confirm", "0")
			p.expect(t, "msg=serving")
			old.signal(t, syscall.SIGKILL)
			old.wait(t)
			if strings.HasPrefix(c.tool, "iptables") && !c.atOnce {
				dst := netip.MustParseAddrPort(dstV4 + ":4711")
				if got := r.client.ask("tcp", dst, silent); got != silent {
					t.Errorf("a new conn: %s, want %s", got, silent)
				}
				r.edge.run(t, c.drops)
			}
			r.awaitCarrier(t, byAnyport)
		})
	}
}
