package integration

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
	"golang.org/x/sys/unix"
)

const transparentFile = `
[route.t]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
protocol = ["tcp", "udp"]
origins  = ["10.0.0.5", "fd00:5::5"]
transparent = true
`

// newTransparentRig is a rig whose origin sends to clients through the edge, and says who asks. The
// edge forwards, as the gateway of an origin does.
func newTransparentRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.edge.sysctl(t, map[string]string{"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"})
	r.origin.route(t, "0.0.0.0/0", "10.0.0.1")
	r.origin.route(t, "::/0", "fd00:5::1")
	for _, origin := range []string{originV4, originV6} {
		r.origin.serve(t, port(origin, 4711), sayClient)
		r.origin.answerTo(t, port(origin, 4711), func(datagram []byte, from netip.AddrPort) []byte {
			return append([]byte(from.String()+" "), datagram...)
		})
	}
	return r
}

// sayClient answers each line with the address of its peer and the line.
func sayClient(conn net.Conn) {
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprintf(conn, "%v %s", conn.RemoteAddr(), line)
	}
}

// seenAsClient asks on conn, and requires that the origin sees the address and port of conn.
func seenAsClient(t *testing.T, when string, conn net.Conn, question string) {
	t.Helper()
	want := conn.LocalAddr().String() + " " + question + "\n"
	if got := trade(t, conn, question+"\n"); got != want {
		t.Errorf("%s, %s to %v: the origin answered %.80q, want %.80q", when, conn.LocalAddr().Network(), conn.RemoteAddr(), got, want)
	}
}

// dialAll opens a conn and a flow of each family.
func (r *rig) dialAll(t *testing.T) (conns []net.Conn) {
	t.Helper()
	for _, dst := range []string{port(dstV4, 4711), port(dstV6, 4711)} {
		conns = append(conns, r.client.dial(t, "tcp", dst), r.client.dial(t, "udp", dst))
	}
	return conns
}

// TestTransparent: the origin sees the client's own address and port over both protocols and
// families. What it sends to that client without the proxy is forwarded as before.
func TestTransparent(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	p := r.edge.serveWith(t, transparentFile)
	for _, conn := range r.dialAll(t) {
		seenAsClient(t, "at first", conn, "who?")
		if conn.LocalAddr().Network() == "udp" {
			seenAsClient(t, "in fragments", conn, strings.Repeat("x", 9000))
		}
	}
	for _, ends := range [][2]string{{originV4, clientV4}, {originV6, clientV6}} {
		r.client.serve(t, port(ends[1], 5000), sayClient)
		r.client.answerTo(t, port(ends[1], 5000), func(datagram []byte, from netip.AddrPort) []byte {
			return append([]byte(from.String()+" "), datagram...)
		})
		for _, network := range []string{"tcp", "udp"} {
			conn := r.origin.dial(t, network, port(ends[1], 5000))
			seenAsClient(t, "past the proxy", conn, "forwarded?")
		}
	}
	if got := p.status(t).Steering.Missing; len(got) > 0 {
		t.Errorf("status says that these are missing: %q", got)
	}
}

// TestTransparentLives: live conns and flows go on over a reload, an upgrade and a reload that turns
// the key off, with the privileges dropped. A stop removes the
// way back: the harness compares what the edge had before and has then.
func TestTransparentLives(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	off := strings.Replace(transparentFile, "transparent = true", "", 1)
	p := r.edge.launchAs(t, func(path string) *exec.Cmd { give(t, path, "65534"); return anyportRun(path) },
		"[steering]\nuser = \"65534\"\n"+off)
	p.expect(t, "msg=serving")
	f := newFamily(t, p)
	reload := func(file string) {
		t.Helper()
		p.write(t, "[steering]\nuser = \"65534\"\n"+file)
		if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
			t.Fatalf("reload: %+v", got)
		}
	}
	reload(transparentFile) // turns it on, without the privilege to load a program
	live := r.dialAll(t)
	ask := func(when string) {
		t.Helper()
		for _, conn := range live {
			seenAsClient(t, when, conn, "still there?")
		}
		for _, conn := range r.dialAll(t) {
			seenAsClient(t, "new, "+when, conn, "who?")
			conn.Close()
		}
	}
	ask("after a reload that turns it on")
	reload(transparentFile + "max_conns = 100\n")
	ask("after a reload")
	for range 2 {
		f.upgrade(t)
		ask("after an upgrade")
	}
	reload(off)
	for _, conn := range live {
		seenAsClient(t, "after a reload that turns it off", conn, "still there?")
	}
	reload(transparentFile)
	ask("on again")
}

// TestTransparentKilled: what a killed process leaves is used by the next one, or removed if that one does not need
// it, and by unload.
func TestTransparentKilled(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	off := strings.Replace(transparentFile, "transparent = true", "", 1)
	before := len(r.edge.returnPath(t))
	p := r.edge.serveWith(t, transparentFile)
	whole := r.edge.returnPath(t)
	if want := 6; len(whole) != want { // of each family a rule and a route, and a filter of each interface but lo
		t.Errorf("%d parts: %q, want %d", len(whole), whole, want)
	}
	kill := func(p *process) {
		t.Helper()
		p.signal(t, syscall.SIGKILL)
		p.wait(t)
		if got := r.edge.returnPath(t); len(got) != len(whole) {
			t.Errorf("after a kill there are %q, and not %q: the test has nothing to sweep", got, whole)
		}
	}
	kill(p.process)
	again := p.restart(t)
	for _, conn := range r.dialAll(t) {
		seenAsClient(t, "after a kill", conn, "who?")
	}
	kill(again)
	p.write(t, off)
	third := p.restart(t)
	if got := r.edge.returnPath(t); len(got) != before {
		t.Errorf("a start without transparent leaves %q", got)
	}
	third.signal(t, syscall.SIGTERM)
	third.wait(t)
	p.write(t, transparentFile)
	kill(p.restart(t))
	os.Remove(p.socket) // it was killed
	var out []byte
	r.edge.do(func() { out, _ = exec.Command(program, "unload", "-c", p.file).CombinedOutput() })
	if got := r.edge.returnPath(t); len(got) != before || !strings.Contains(string(out), "lookup 43433") {
		t.Errorf("unload leaves %q and says\n%s", got, out)
	}
}

// TestTransparentRestored: parts that other programs remove are put back, and an interface that comes
// later has its filter.
func TestTransparentRestored(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	r.edge.serveWith(t, transparentFile)
	whole := r.edge.returnPath(t)
	r.edge.output(t, "ip", "rule", "del", "pref", "169")
	r.edge.output(t, "ip", "-6", "rule", "del", "pref", "169")
	r.edge.output(t, "ip", "route", "flush", "table", "43433")
	r.edge.output(t, "tc", "qdisc", "del", "dev", "origin0", "clsact")
	eventually(t, "the parts are back", func() bool { return fmt.Sprint(r.edge.returnPath(t)) == fmt.Sprint(whole) })
	for _, conn := range r.dialAll(t) {
		seenAsClient(t, "restored", conn, "who?")
	}
	r.edge.output(t, "ip", "link", "add", "later0", "type", "veth", "peer", "name", "later1")
	eventually(t, "the new interfaces have a filter", func() bool { return len(r.edge.returnPath(t)) == len(whole)+2 })
	r.edge.output(t, "ip", "link", "del", "later0")
}

// returnPath lists the rules, routes and filters of the way back.
func (h *host) returnPath(t *testing.T) (lines []string) {
	t.Helper()
	all := h.output(t, "ip", "rule", "show", "pref", "169") + h.output(t, "ip", "-6", "rule", "show", "pref", "169")
	for _, line := range h.routes(t) {
		if strings.Contains(line, "table 43433 ") {
			all += line + "\n"
		}
	}
	for _, link := range []string{"lo", "client0", "origin0", "later0", "later1"} {
		if _, err := h.net.LinkByName(link); err == nil {
			for line := range strings.Lines(h.output(t, "tc", "filter", "show", "dev", link, "ingress")) {
				if strings.Contains(line, "anyport") {
					all += link + " " + line
				}
			}
		}
	}
	for line := range strings.Lines(all) {
		id, _, _ := strings.Cut(line, " id ")
		lines = append(lines, strings.TrimSpace(id))
	}
	return lines
}

// TestTransparentPortTaken: two conns or flows of one client port to one port of one origin cannot be
// told apart there. The second goes to another origin, or is refused and counted; it never gets
// another port.
func TestTransparentPortTaken(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	r.origin.serve(t, "10.0.0.6:4711", sayClient)
	r.origin.answerTo(t, "10.0.0.6:4711", func(datagram []byte, from netip.AddrPort) []byte {
		return append([]byte(from.String()+" "), datagram...)
	})
	p := r.edge.serveWith(t, `
[route.t]
prefixes = ["192.0.2.0/24"]
protocol = ["tcp", "udp"]
ports    = [4711]
balance  = "first"
origins  = ["10.0.0.5", "10.0.0.6"]
transparent = true
`)
	for i, dst := range []string{"192.0.2.7:4711", "192.0.2.8:4711", "192.0.2.9:4711"} {
		for _, network := range []string{"tcp", "udp"} {
			conn, err := r.client.dialFromPort(t, network, 7777, dst)
			if i < 2 {
				if err != nil {
					t.Fatal(err)
				}
				seenAsClient(t, "origin "+fmt.Sprint(i+1), conn, "who?")
				continue
			}
			if err != nil { // it is reset already
				continue
			}
			conn.SetDeadline(time.Now().Add(silence * 4))
			io.WriteString(conn, "who?\n")
			if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				t.Errorf("%s: a third conn from one port to two origins is answered: %q", network, line)
			}
		}
	}
	ended := p.status(t).route(t, "t").Ended
	for _, protocol := range []string{"tcp", "udp"} {
		if ended[protocol]["client_port_in_use"] == 0 {
			t.Errorf("%s: %v, want client_port_in_use", protocol, ended[protocol])
		}
	}
}

// reuseAddr has a socket share its port.
func reuseAddr(_, _ string, raw syscall.RawConn) (err error) {
	controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	return errors.Join(controlErr, err)
}

// dialFromPort dials from a port that other sockets of the client may have too.
func (h *host) dialFromPort(t *testing.T, network string, local int, dst string) (conn net.Conn, err error) {
	t.Helper()
	dialer := net.Dialer{Timeout: patience, Control: reuseAddr}
	if network == "tcp" {
		dialer.LocalAddr = &net.TCPAddr{Port: local}
	} else {
		dialer.LocalAddr = &net.UDPAddr{Port: local}
	}
	h.do(func() { conn, err = dialer.Dial(network, dst) })
	if err == nil {
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience))
	}
	return conn, err
}

// TestTransparentErrors: ICMP errors for what was sent as a client come back here, so a flow goes on to
// another origin.
func TestTransparentErrors(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	r.origin.answerAllErrors(t)
	r.edge.serveWith(t, `
[route.t]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
protocol = ["tcp", "udp"]
balance  = "first"
origins  = ["10.0.0.6:4711", "10.0.0.5:4711", "[fd00:5::5]:4712", "[fd00:5::5]:4711"]
transparent = true
`) // nobody listens on the first of each family
	for _, conn := range r.dialAll(t) {
		seenAsClient(t, "from the second origin", conn, "who?")
	}
}

// TestTransparentDoctor: doctor asks the kernel about the way back, and names what is in its way.
func TestTransparentDoctor(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	p := r.edge.serveWith(t, transparentFile)
	finding := func() string {
		t.Helper()
		var out []byte
		r.edge.do(func() { out, _ = exec.Command(program, "doctor", "-c", p.file, "--json").Output() })
		var report struct {
			Findings []struct{ Check, Status, What string }
		}
		if err := json.Unmarshal(out, &report); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		var all []string
		for _, f := range report.Findings {
			if f.Check == "transparent" {
				all = append(all, f.Status+": "+f.What)
			}
		}
		return strings.Join(all, "\n")
	}
	expect := func(words ...string) {
		t.Helper()
		got := finding()
		for _, w := range words {
			if !strings.Contains(got, w) {
				t.Errorf("doctor says\n%s\nand not %q", got, w)
			}
		}
	}
	expect("ok: what comes back from 10.0.0.5 on origin0, fd00:5::5 on origin0 is delivered")

	r.edge.output(t, "ip", "route", "add", "unreachable", "default", "table", "5000")
	r.edge.output(t, "ip", "rule", "add", "pref", "100", "iif", "origin0", "lookup", "5000")
	expect("failure: what 10.0.0.5 sends to a client, arriving on origin0, is not delivered")
	r.edge.output(t, "ip", "rule", "del", "pref", "100")
	r.edge.output(t, "ip", "route", "flush", "table", "5000")

	r.edge.sysctl(t, map[string]string{"net/ipv4/conf/all/src_valid_mark": "1"})
	expect("failure: src_valid_mark is on for origin0", "failure: what 10.0.0.5 sends")
	conn := r.client.dial(t, "udp", port(dstV4, 4711))
	conn.SetDeadline(time.Now().Add(silence))
	io.WriteString(conn, "who?\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
		t.Errorf("doctor is wrong: the origin's answer %q arrives", line)
	}
	r.edge.sysctl(t, map[string]string{"net/ipv4/conf/origin0/accept_local": "1"})
	expect("ok: what comes back")
	seenAsClient(t, "after what doctor says", r.client.dial(t, "udp", port(dstV4, 4711)), "who?")
}

// TestTransparentOriginOnThisHost: an origin that has an address of the edge would answer clients itself.
func TestTransparentOriginOnThisHost(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	p := r.edge.launch(t, strings.Replace(transparentFile, "10.0.0.5", "10.0.0.1", 1))
	if status := p.wait(t); status == 0 {
		t.Error("it runs")
	}
	p.expect(t, "10.0.0.1 is this host's address on origin0")
}

// TestTransparentNamedClient: the client that a PROXY header names is the one that the origin sees. A client
// of a family that no origin has is refused and counted.
func TestTransparentNamedClient(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	p := r.edge.serveWith(t, transparentFile+"accept_proxy = [\"198.51.100.0/24\"]\n"+`
[route.v4]
prefixes = ["203.0.113.0/24"]
protocol = ["tcp", "udp"]
origins  = ["10.0.0.5"]
transparent = true
accept_proxy = ["198.51.100.0/24"]
`)
	for _, client := range []string{"198.51.100.77:1234", "[2001:db8:c::77]:1234"} {
		for _, network := range []string{"tcp", "udp"} {
			conn := r.client.dial(t, network, port(dstV4, 4711))
			want := client + " who?\n"
			if got := trade(t, conn, headerNaming(t, network, client)+"who?\n"); got != want {
				t.Errorf("%s: the origin answered %q, want %q", network, got, want)
			}
		}
	}
	for _, network := range []string{"tcp", "udp"} {
		conn := r.client.dial(t, network, "203.0.113.7:4711")
		io.WriteString(conn, headerNaming(t, network, "[2001:db8:c::77]:1235")+"who?\n")
		eventually(t, "it is counted", func() bool { return p.status(t).route(t, "v4").Ended[network]["no_origin_for_client"] == 1 })
	}
}

// headerNaming is a PROXY v2 header that names a client, and a dst of its family.
func headerNaming(t *testing.T, network, client string) string {
	t.Helper()
	from, to := net.Addr(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client))), net.Addr(net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.7:4711")))
	if client[0] == '[' {
		to = net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[2001:db8:1::7]:4711"))
	}
	if network == "udp" {
		f, d := from.(*net.TCPAddr), to.(*net.TCPAddr)
		from, to = &net.UDPAddr{IP: f.IP, Port: f.Port}, &net.UDPAddr{IP: d.IP, Port: d.Port}
	}
	b, err := proxyproto.HeaderProxyFromAddrs(2, from, to).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
