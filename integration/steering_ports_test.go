package integration

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

const portsFile = `
[route.wide]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports    = ["1-9999"]
except_ports = [25, 8053]
origins  = ["10.0.0.5:4000"]

[route.one]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.7", "2001:db8:1::7"]
ports    = [80, 25]
origins  = ["10.0.0.6:4000"]

[route.silent]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports    = [20000]
action   = "drop"

[route.host]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports    = [8053]
action   = "pass"
`

// TestPorts checks what happens to each port of a served prefix: forwarded to the most
// specific route, refused, dropped, or left to the host.
func TestPorts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:4000", named("wide"))
	r.origin.both(t, "10.0.0.6:4000", named("one"))
	for _, address := range []string{":22", ":30000"} { // the edge's own, on all its addresses
		r.edge.both(t, address, named("host"))
	}
	r.edge.passed(t, "192.0.2.9:8053", "[2001:db8:1::9]:8053")
	r.edge.serveWith(t, portsFile)

	for _, c := range []struct {
		why  string
		dst4 string // 192.0.2.x stands for 2001:db8:1::x, too
		want string
	}{
		{"the route of the prefix", "192.0.2.9:80", "wide"},
		{"the last port of its range", "192.0.2.9:9999", "wide"},
		{"a /32 inside the /24 goes its own way", "192.0.2.7:80", "one"},
		{"a port of the /32 that only the /24 takes", "192.0.2.7:81", "wide"},
		{"the /24 leaves a port out, the /32 takes it", "192.0.2.7:25", "one"},
		{"left out, and no shorter prefix takes it", "192.0.2.9:25", refused},
		{"no route takes it", "192.0.2.9:10000", refused},
		{"no route takes it, the host listens", "192.0.2.9:30000", refused},
		{"a route takes it, the host listens", "192.0.2.9:22", "wide"},
		{"drop is silent", "192.0.2.9:20000", silent},
		{"pass reaches the host's own listener", "192.0.2.9:8053", "host"},
	} {
		dst := netip.MustParseAddrPort(c.dst4)
		for _, dst := range []netip.AddrPort{dst, sixFor(dst)} {
			for _, network := range []string{"tcp", "udp"} {
				if got := r.client.ask(network, dst, c.want); got != c.want {
					t.Errorf("%s: %s %v: got %s, want %s", c.why, network, dst, got, c.want)
				}
			}
		}
	}
}

// TestUnmatched checks the three values of unmatched on a port that no route names.
func TestUnmatched(t *testing.T) {
	for unmatched, want := range map[string]string{"refuse": refused, "drop": silent, "pass": "host"} {
		t.Run(unmatched, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.edge.passed(t, "192.0.2.7:8053", "[2001:db8:1::7]:8053")
			r.edge.serveWith(t, `
[steering]
shadow_listeners = true
unmatched = "`+unmatched+`"
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports    = [80]
origins  = ["10.0.0.5"]
`)
			for _, dst := range []string{"192.0.2.7:8053", "[2001:db8:1::7]:8053"} {
				for _, network := range []string{"tcp", "udp"} {
					if got := r.client.ask(network, netip.MustParseAddrPort(dst), want); got != want {
						t.Errorf("%s %s: got %s, want %s", network, dst, got, want)
					}
				}
			}
		})
	}
}

// TestTwoNameServers serves two services of two owners on one port of one host, the
// case that SK_LOOKUP was made for.
func TestTwoNameServers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:53", named("first"))
	r.origin.both(t, "10.0.0.6:53", named("second"))
	r.origin.both(t, "[fd00:5::5]:53", named("third"))
	p := r.edge.serveWith(t, `
[route.first]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/25"]
ports    = [53]
origins  = ["10.0.0.5"]
[route.second]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.128/25"]
ports    = [53]
origins  = ["10.0.0.6"]
[route.third]
protocol = ["tcp", "udp"]
prefixes = ["2001:db8:1::/48"]
ports    = [53]
origins  = ["[fd00:5::5]"]
`)
	for dst, want := range map[string]string{
		"192.0.2.127:53": "first", "192.0.2.128:53": "second", "[2001:db8:1::7]:53": "third",
	} {
		for _, network := range []string{"tcp", "udp"} {
			if got := r.client.ask(network, netip.MustParseAddrPort(dst), want); got != want {
				t.Errorf("%s %s: got %s, want %s", network, dst, got, want)
			}
		}
		if got := p.status(t).route(t, want).ConnsTotal; got != 2 {
			t.Errorf("route %s: conns_total is %d, want one conn and one flow", want, got)
		}
	}
}

// passed serves on port 8053 of the host: over TCP on all its addresses, over UDP on
// each that is asked, for an answer has to come from there.
func (h *host) passed(t *testing.T, addresses ...string) {
	t.Helper()
	h.serve(t, ":8053", func(conn net.Conn) { replyOnce(conn, named("host")) })
	for _, address := range addresses {
		h.answer(t, address, named("host"))
	}
}

// sixFor is 2001:db8:1::x for 192.0.2.x.
func sixFor(dst netip.AddrPort) netip.AddrPort {
	b := netip.MustParseAddr("2001:db8:1::").As16()
	b[15] = dst.Addr().As4()[3]
	return netip.AddrPortFrom(netip.AddrFrom16(b), dst.Port())
}

// What a client can meet where nobody answers.
const (
	refused = "refused" // RST, or ICMP port unreachable
	silent  = "silent"
)

// ask sends a question and gives the name of who answers, or refused, or silent.
// How long it waits depends on what is expected.
func (h *host) ask(network string, dst netip.AddrPort, want string) string {
	wait := patience
	if want == silent {
		wait = silence
	}
	var conn net.Conn
	var err error
	h.do(func() { conn, err = (&net.Dialer{Timeout: wait}).Dial(network, dst.String()) })
	if err != nil {
		return outcome(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(wait))
	if _, err := io.WriteString(conn, "who?\n"); err != nil {
		return outcome(err)
	}
	name, err := bufio.NewReader(conn).ReadString(' ')
	if err != nil {
		return outcome(err)
	}
	return strings.TrimSpace(name)
}

func outcome(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.As(err, &timeout) && timeout.Timeout():
		return silent
	}
	return err.Error()
}
