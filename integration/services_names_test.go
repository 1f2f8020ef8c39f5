package integration

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// TestNameServicesOnOnePort has unbound and knot on port 53 of one host, each for its own prefix, over UDP and TCP. Both see the
// client's own address, and answer from the address that was asked.
func TestNameServicesOnOnePort(t *testing.T) {
	t.Parallel()
	const knotAddr = "203.0.113.53"
	r, units := newRig(t), [2]*unit{newUnit(t), nil}
	units[1] = newUnit(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"unbound.conf": unboundService, "knot.conf": knotService, "example.zone": knotZone} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	startUnbound := func() {
		units[0].make(t)
		units[0].run(t, r.edge, "unbound", "-d", "-p", "-c", filepath.Join(dir, "unbound.conf"))
	}
	startUnbound()
	knot := units[1].run(t, r.edge, "knotd", "-c", filepath.Join(dir, "knot.conf"))
	p := r.edge.serveWith(t, fmt.Sprintf(`
[route.unbound]
protocol = ["tcp", "udp"]
prefixes = [%q]
ports    = [53]
action   = "socket"
service  = %q

[route.knot]
protocol = ["tcp", "udp"]
prefixes = [%q]
ports    = [53]
action   = "socket"
service  = %q
listener = "203.0.113.53:53"
`, servedV4, units[0].name, knotAddr, units[1].name))
	answers := func(want map[string]string) {
		t.Helper()
		for dst, address := range want {
			for _, network := range []string{"udp", "tcp"} {
				eventually(t, network+" to "+dst+" gets "+address, func() bool {
					conn, err := r.client.tryDial(network, "", port(dst, 53))
					if err != nil {
						return false
					}
					defer conn.Close()
					conn.SetDeadline(time.Now().Add(time.Second))
					got, err := lookUp(conn, "www.example.")
					return err == nil && got == address
				})
			}
		}
	}
	answers(map[string]string{dstV4: "192.0.2.98", "192.0.2.200": "192.0.2.98", knotAddr: "192.0.2.99"})
	units[0].stop(t)
	eventually(t, "unbound is noticed to be away", func() bool {
		for _, s := range p.status(t).route(t, "unbound").LocalSockets {
			if s.Up {
				return false
			}
		}
		return true
	})
	answers(map[string]string{knotAddr: "192.0.2.99"})
	startUnbound()
	answers(map[string]string{dstV4: "192.0.2.98", knotAddr: "192.0.2.99"})
	if !knot.alive() {
		t.Error("knot has ended")
	}
}

// lookUp asks for the A record of a name.
func lookUp(conn net.Conn, name string) (string, error) {
	question := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	b, err := question.Pack()
	if err != nil {
		return "", err
	}
	_, tcp := conn.(*net.TCPConn)
	if tcp {
		b = append([]byte{0, byte(len(b))}, b...)
	}
	if _, err := conn.Write(b); err != nil {
		return "", err
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		return "", err
	}
	answer = answer[:n]
	if tcp {
		answer = answer[min(2, n):]
	}
	var m dnsmessage.Message
	if err := m.Unpack(answer); err != nil || len(m.Answers) == 0 {
		return "", fmt.Errorf("no answer: %v", err)
	}
	a, _ := m.Answers[0].Body.(*dnsmessage.AResource)
	if a == nil {
		return "", errors.New("not an address")
	}
	return netip.AddrFrom4(a.A).String(), nil
}

// unbound answers from the address that was asked if it has interface-automatic. The two share the port by SO_REUSEPORT,
// without which the kernel lets no other TCP socket listen on a port that a wildcard one has.
const unboundService = `
server:
    interface-automatic: yes
    do-ip6: no
    so-reuseport: yes
    num-threads: 1
    access-control: 0.0.0.0/0 allow
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "DIR"
    pidfile: ""
    use-syslog: no
    module-config: "iterator"
    local-zone: "example." redirect
    local-data: "example. A 192.0.2.98"
remote-control:
    control-enable: no
`

const knotService = `
server:
  rundir: DIR
  user: root
  listen: 203.0.113.53@53
  tcp-reuseport: on
  udp-workers: 1
  tcp-workers: 1
database:
  storage: DIR
log:
  - target: stderr
    any: info
template:
  - id: default
    storage: DIR
zone:
  - domain: example
`

const knotZone = "$ORIGIN example.\n@ 60 SOA ns mail 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.99\nwww 60 A 192.0.2.99\n"
