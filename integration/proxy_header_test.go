package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"
)

// TestProxyHeader checks that the origin learns the client and the dst from each kind
// of header, whatever the family of the origin's address.
func TestProxyHeader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ protocol, header, origin string }{
		{"tcp", "v1", "10.0.0.5:4000"},
		{"tcp", "v1", "[fd00:5::5]:4000"},
		{"tcp", "v2", "10.0.0.5:4000"},
		{"tcp", "v2", "[fd00:5::5]:4000"},
		{"udp", "v2", "10.0.0.5:4000"},
		{"udp", "v2", "[fd00:5::5]:4000"},
	} {
		t.Run(c.protocol+" "+c.header+" to "+c.origin, func(t *testing.T) {
			r := newRig(t)
			r.origin.serve(t, c.origin, witness)
			r.origin.answer(t, c.origin, witnessDatagram)
			r.edge.serveWith(t, fmt.Sprintf(`
[route.all]
protocol = %q
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins  = [%q]
proxy_protocol = %q
`, c.protocol, c.origin, c.header))
			ask := map[string]func(string, netip.AddrPort) error{"tcp": askTCP, "udp": askUDP}[c.protocol]
			for family, dst := range map[string]string{"4": "192.0.2.7:4711", "6": "[2001:db8:1::7]:4711"} {
				var err error
				r.client.do(func() { err = ask(c.protocol+family, netip.MustParseAddrPort(dst)) })
				if err != nil {
					t.Errorf("%s: %v", dst, err)
				}
			}
		})
	}
}

// TestHeaderComesFirst checks that an origin gets the header at once, from a client
// that sends nothing, and that the origin may speak first.
func TestHeaderComesFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:25", func(conn net.Conn) {
		header, err := proxyproto.Read(bufio.NewReader(conn))
		fmt.Fprintln(conn, "220", header.DestinationAddr, err)
	})
	r.edge.serveWith(t, `
[route.mail]
prefixes = ["192.0.2.0/24"]
protocol = "tcp"
origins  = ["10.0.0.5"]
proxy_protocol = "v2"
`)
	got, err := io.ReadAll(r.client.dial(t, "tcp", "192.0.2.7:25"))
	if want := "220 192.0.2.7:25 <nil>\n"; err != nil || string(got) != want {
		t.Errorf("the client read %q, %v, want %q", got, err, want)
	}
}

// TestV2First checks that the first datagram of each flow has a header, and no other
// datagram.
func TestV2First(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.answer(t, "10.0.0.5:4000", func(datagram []byte) []byte {
		if bytes.HasPrefix(datagram, proxyproto.SIGV2) {
			return witnessDatagram(datagram)
		}
		return append([]byte("bare "), datagram...)
	})
	r.edge.serveWith(t, `
[route.all]
prefixes = ["192.0.2.0/24"]
protocol = "udp"
origins  = ["10.0.0.5:4000"]
proxy_protocol = "v2-first"
`)
	for _, dst := range []string{"192.0.2.7:1", "192.0.2.7:2"} { // two flows of one client
		conn := r.client.dial(t, "udp", dst)
		first := "a question so long that a long answer is no amplification"
		told := expected("udp4", addrPort(conn.LocalAddr()), netip.MustParseAddrPort(dst), first)
		for _, step := range []struct{ question, want string }{{first, told}, {"two", "bare two"}, {"three", "bare three"}} {
			if got := trade(t, conn, step.question); got != step.want {
				t.Errorf("%s: answered %q, want %q", dst, got, step.want)
			}
		}
	}
}

// TestOriginPorts checks the three ways to choose the origin's port.
func TestOriginPorts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, port := range []string{"3000", "3050", "3100", "8080", "777"} {
		r.origin.both(t, "10.0.0.5:"+port, named(port))
	}
	r.edge.serveWith(t, `
[route.keep]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.1"]
origins  = ["10.0.0.5"]
[route.map]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.2"]
origins  = ["10.0.0.5:8080"]
[route.range]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.3"]
ports    = ["1000-1100"]
origins  = ["10.0.0.5:3000-3100"]
`)
	for dst, want := range map[string]string{
		"192.0.2.1:777": "777", "192.0.2.2:777": "8080", "192.0.2.2:9": "8080",
		"192.0.2.3:1000": "3000", "192.0.2.3:1050": "3050", "192.0.2.3:1100": "3100",
	} {
		for _, network := range []string{"tcp", "udp"} {
			if got := r.client.ask(network, netip.MustParseAddrPort(dst), want); got != want {
				t.Errorf("%s %s went to port %s, want %s", network, dst, got, want)
			}
		}
	}
}

// addrPort is the address of a TCP or UDP socket.
func addrPort(addr net.Addr) netip.AddrPort { return netip.MustParseAddrPort(addr.String()) }

// trade sends one datagram and gives the next one that comes.
func trade(t *testing.T, conn net.Conn, question string) string {
	t.Helper()
	if _, err := io.WriteString(conn, question); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1<<16)
	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}
