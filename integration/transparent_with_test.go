package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestTransparentWith: the other keys that end conns, and health checks, hold for conns that are dialled as the client,
// and a side that is closed first still hears the other one.
func TestTransparentWith(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	for _, origin := range []string{originV4, originV6} {
		r.origin.serve(t, port(origin, 4712), func(conn net.Conn) { // answers after FIN
			question, _ := io.ReadAll(conn)
			fmt.Fprintf(conn, "%v %s", conn.RemoteAddr(), question)
		})
	}
	p := r.edge.serveWith(t, `
[route.checked]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
protocol = ["tcp", "udp"]
origins  = ["10.0.0.5", "fd00:5::5"]
transparent = true
on_down  = "close"
health   = { type = "tcp", port = 4711, interval = "200ms" }
[route.aged]
prefixes = ["203.0.113.0/24"]
protocol = "tcp"
origins  = ["10.0.0.5"]
transparent = true
max_age  = "1s"
`)
	aged := r.client.dial(t, "tcp", "203.0.113.7:4711")
	seenAsClient(t, "max_age", aged, "who?")
	for _, dst := range []string{dstV4, dstV6} {
		conn := r.client.dial(t, "tcp", port(dst, 4712))
		fmt.Fprint(conn, "who?")
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || string(got) != conn.LocalAddr().String()+" who?" {
			t.Errorf("after FIN the origin answers %q, %v", got, err)
		}
	}
	eventually(t, "max_age ends a conn", func() bool { return p.status(t).route(t, "aged").Ended["tcp"]["max_age"] == 1 })

	live := r.dialAll(t)
	for _, conn := range live {
		seenAsClient(t, "with health checks", conn, "who?")
	}
	for _, origin := range []string{originV4, originV6} {
		if o, _ := p.status(t).route(t, "checked").origin(origin); !o.Up {
			t.Errorf("the checks of %s fail", origin)
		}
		p.ask(t, "origin down checked/"+origin)
	}
	for _, conn := range live {
		if conn.LocalAddr().Network() == "udp" { // it has no origin to move to
			continue
		}
		if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("on_down: a conn ends with %v", err)
		}
	}
}

// TestTransparentPortAgain: a client may use a port again at once that this host's kernel keeps (TIME_WAIT)
// from a conn that the client has closed first. The counts of these conns go on over upgrades.
func TestTransparentPortAgain(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	p := r.edge.serveWith(t, transparentFile)
	f := newFamily(t, p)
	visit := func(dst string) error {
		conn, err := r.client.dialFromPort(t, "tcp", 7777, port(dst, 4711))
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := hearBackLine(conn); err != nil {
			return err
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			return err
		}
		_, err = io.ReadAll(conn)
		return err
	}
	for _, dst := range []string{"192.0.2.7", "192.0.2.8", "192.0.2.9"} {
		if err := visit(dst); err != nil {
			t.Fatalf("%s: %v", dst, err)
		}
		f.upgrade(t) // the next process knows nothing of the port
	}
	if ended := p.status(t).route(t, "t").Ended["tcp"]; ended["client_port_in_use"] > 0 || ended["closed"] != 3 {
		t.Errorf("the conns have ended so: %v, want 3 closed", ended)
	}
}

// hearBackLine asks the origin, and expects an answer.
func hearBackLine(conn net.Conn) error {
	if _, err := io.WriteString(conn, "who?\n"); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 100))
	return err
}

// TestTransparentSmallMTU: an origin's network with a smaller MTU than the clients' carries what is sent as the
// client, in both directions: the ICMP errors of the router between arrive at anyport's sockets.
func TestTransparentSmallMTU(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	far := newHost(t, "far")
	join(t, r.origin.port("far0", "10.1.0.1/24", "fd00:6::1/64"), far.port("origin0", "10.1.0.5/24", "fd00:6::5/64"))
	for _, link := range []struct {
		*host
		device string
	}{{r.origin, "far0"}, {far, "origin0"}} {
		link.output(t, "ip", "link", "set", link.device, "mtu", "1300")
	}
	r.origin.sysctl(t, map[string]string{"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"})
	far.route(t, "0.0.0.0/0", "10.1.0.1")
	far.route(t, "::/0", "fd00:6::1")
	r.edge.route(t, "10.1.0.0/24", originV4)
	r.edge.route(t, "fd00:6::/64", originV6)
	for _, origin := range []string{"10.1.0.5", "fd00:6::5"} {
		far.serve(t, port(origin, 4711), echo)
	}
	r.edge.serveWith(t, strings.NewReplacer("10.0.0.5", "10.1.0.5", "fd00:5::5", "fd00:6::5").Replace(transparentFile))
	for _, dst := range []string{dstV4, dstV6} {
		talk(t, r.client.dial(t, "tcp", port(dst, 4711)), strings.Repeat("x", 100_000))
	}
}

// TestTransparentName: an address of this host that a name has is not used, since it would answer clients
// itself; the other addresses of the name are.
func TestTransparentName(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("10.0.0.1 app.example\n10.0.0.5 app.example\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.edge.Bind(hosts, "/etc/hosts"); err != nil {
		t.Fatal(err)
	}
	p := r.edge.serveWith(t, `
[route.t]
prefixes = ["192.0.2.0/24"]
protocol = ["tcp", "udp"]
origins  = ["app.example"]
transparent = true
`)
	p.expect(t, "an address of a name is not used", "10.0.0.1", "would answer the clients of a transparent route directly")
	for range 3 {
		seenAsClient(t, "of two addresses", r.client.dial(t, "tcp", port(dstV4, 4711)), "who?")
	}
}

// TestTransparentTwo: two instances on one host share the way back. If one of them stops, the live conns of
// the other one go on, and new ones too, once it has put back what is missing.
func TestTransparentTwo(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	one := strings.NewReplacer(`"192.0.2.0/24", "2001:db8:1::/48"`, `"203.0.113.0/24"`, `, "fd00:5::5"`, "").Replace(transparentFile)
	p := r.edge.serveWith(t, one)
	file := filepath.Join(t.TempDir(), "other.toml")
	if err := os.WriteFile(file, []byte("[admin]\nsocket = \"\"\n"+transparentFile), 0o600); err != nil {
		t.Fatal(err)
	}
	other := r.edge.spawn(t, anyportRun(file))
	other.expect(t, "msg=serving")
	live := append(r.dialAll(t), r.client.dial(t, "tcp", "203.0.113.7:4711"))
	for _, conn := range live {
		seenAsClient(t, "beside another", conn, "who?")
	}
	other.signal(t, syscall.SIGTERM)
	other.expect(t, "stopping:")
	other.signal(t, syscall.SIGTERM)
	other.wait(t)
	seenAsClient(t, "after the other one has stopped", live[len(live)-1], "who?")
	seenAsClient(t, "after the other one has stopped", r.client.dial(t, "tcp", "203.0.113.8:4711"), "who?")
	eventually(t, "nothing is missing", func() bool { return len(p.status(t).Steering.Missing) == 0 })
}
