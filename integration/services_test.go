package integration

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// unit is a cgroup of a test, as systemd would make one for a service.
type unit struct{ name, dir string }

var unitNumber atomic.Int32

// newUnit makes a cgroup that ends with the test.
func newUnit(t *testing.T) *unit {
	t.Helper()
	c := &unit{name: fmt.Sprintf("/anyport-test-%d-%d", os.Getpid(), unitNumber.Add(1))}
	c.dir = filepath.Join(cgroup2(t), c.name)
	c.make(t)
	t.Cleanup(func() { c.stop(t) })
	return c
}

// cgroup2 is where the unified hierarchy is mounted.
func cgroup2(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); fields[2] == "cgroup2" {
			return fields[1]
		}
	}
	t.Skip("cgroup version 2 is not mounted")
	return ""
}

func (c *unit) make(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// remove waits for the last process: it is in the cgroup until it is reaped.
func (c *unit) remove(t *testing.T) {
	t.Helper()
	eventually(t, "the cgroup is removed", func() bool {
		err := syscall.Rmdir(c.dir)
		return err == nil || err == syscall.ENOENT
	})
}

// run starts a program of a service on h.
func (c *unit) run(t *testing.T, h *host, name string, args ...string) *process {
	t.Helper()
	const enter = `echo $$ > "$0"/cgroup.procs && exec "$@"`
	return h.spawn(t, exec.Command("sh", append([]string{"-c", enter, c.dir, needTool(t, name)}, args...)...))
}

// TestServiceOnFourPorts is the demonstration that sk_lookup was written for: an ncat that knows nothing of it answers on
// four ports. No socket of anyport takes part: only ncat has the conns, and they outlive anyport.
func TestServiceOnFourPorts(t *testing.T) {
	t.Parallel()
	r, group := newRig(t), newUnit(t)
	group.run(t, r.edge, "ncat", "-4lke", needTool(t, "cat"), "127.0.0.1", "7777")
	p := r.edge.serveWith(t, fmt.Sprintf(`
[route.echo]
protocol = "tcp"
prefixes = [%q]
ports    = [7, 77, 777, 7777]
action   = "socket"
service  = %q
`, servedV4, group.name))
	p.expect(t, "a socket of a service takes packets", "127.0.0.1:7777", "process=ncat")
	for _, n := range []int{7, 77, 777, 7777} {
		conn := r.client.dial(t, "tcp", port(dstV4, n))
		if got := trade(t, conn, "hello\n"); got != "hello\n" {
			t.Errorf("port %d answers %q", n, got)
		}
		holders := r.edge.output(t, "ss", "-Htnp", "state", "established", "sport", "=", fmt.Sprint(n))
		if !strings.Contains(holders, dstV4) || !strings.Contains(holders, `"ncat"`) && !strings.Contains(holders, `"cat"`) || strings.Contains(holders, "anyport") {
			t.Errorf("port %d: the conn is held by:\n%s", n, holders)
		}
	}
}

// stop ends all processes of a service, and removes its cgroup as systemd does.
func (c *unit) stop(t *testing.T) {
	t.Helper()
	eventually(t, "the processes of the service have ended", func() bool {
		pids, _ := os.ReadFile(filepath.Join(c.dir, "cgroup.procs"))
		for pid := range strings.FieldsSeq(string(pids)) {
			if n, err := strconv.Atoi(pid); err == nil {
				syscall.Kill(n, syscall.SIGKILL)
			}
		}
		return len(pids) == 0
	})
	c.remove(t)
}

// answerOf is what the server at dst says, or "refused" or "broken".
func answerOf(h *host, dst string) string {
	conn, err := h.tryDial("tcp", "", dst)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "refused"
	}
	if err != nil {
		return "broken"
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	answer, _ := io.ReadAll(conn)
	return cmp.Or(strings.TrimSpace(string(answer)), "broken") // a server that is killed resets the conns in its queue
}

// TestServiceRestarts restarts a service under load, in a new cgroup each time. No conn may get to another listener of
// the host; while the service is away, all are refused, or forwarded where the route has origins.
func TestServiceRestarts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, origins, away, never string }{
		{"refused", "", "refused", "origin"},
		{"forwarded", `origins = ["10.0.0.5"]`, "origin", "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, group := newRig(t), newUnit(t)
			r.edge.serve(t, "0.0.0.0:7", func(conn net.Conn) { io.WriteString(conn, "decoy") })
			r.origin.serve(t, port(originV4, 7), func(conn net.Conn) { io.WriteString(conn, "origin") })
			start := func() { group.run(t, r.edge, "ncat", "-4lke", "/bin/echo service", "127.0.0.1", "7777") }
			p := r.edge.serveWith(t, fmt.Sprintf("[route.echo]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [7]\naction = \"socket\"\nservice = %q\nlistener = \"127.0.0.1:7777\"\n%s\n", servedV4, group.name, c.origins))
			answers := newTally(r.client, port(dstV4, 7))
			end := answers.load(soak(100, 500)) // a second
			for i := range soak(5, 100) {
				answers.awaitMore(t, c.away)
				group.make(t)
				start()
				answers.awaitMore(t, "service")
				if i == 0 && len(p.status(t).route(t, "echo").LocalSockets) != 1 {
					t.Error("the status does not tell the socket of the service")
				}
				group.stop(t)
			}
			end()
			if n := answers.counts(); n["decoy"] > 0 || n[c.never] > 0 {
				t.Errorf("answers: %v", n)
			}
			t.Log(answers.counts())
		})
	}
}

// tally counts what a server answers.
type tally struct {
	host *host
	dst  string
	mu   sync.Mutex
	seen map[string]int
}

func newTally(h *host, dst string) *tally { return &tally{host: h, dst: dst, seen: map[string]int{}} }

// load opens conns until end is called.
func (a *tally) load(perSecond int) (end func()) {
	done := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		ticker := time.NewTicker(time.Second / time.Duration(perSecond))
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				asking.Go(a.ask)
			}
		}
	})
	return func() { close(done); asking.Wait() }
}

func (a *tally) ask() {
	answer := answerOf(a.host, a.dst)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[answer]++
}

func (a *tally) counts() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.seen)
}

// awaitMore waits for one more answer of this kind.
func (a *tally) awaitMore(t *testing.T, kind string) {
	t.Helper()
	before := a.counts()[kind]
	eventually(t, "an answer is "+kind, func() bool { return a.counts()[kind] > before })
}

// TestServiceOutlivesAnyport kills anyport: the service gets its conns all the same, also after a restart in its cgroup.
func TestServiceOutlivesAnyport(t *testing.T) {
	t.Parallel()
	r, group, bpffs := newRig(t), newUnit(t), t.TempDir()
	if err := r.edge.Mount("bpf", bpffs); err != nil {
		t.Fatal(err)
	}
	start := func() *process {
		return group.run(t, r.edge, "ncat", "-4lke", "/bin/echo service", "127.0.0.1", "7777")
	}
	service := start()
	p := r.edge.serveWith(t, fmt.Sprintf("[steering]\npin = %q\n[route.echo]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [7]\naction = \"socket\"\nservice = %q\n", filepath.Join(bpffs, "anyport"), servedV4, group.name))
	is := func(want string) {
		t.Helper()
		eventually(t, "the answer is "+want, func() bool { return answerOf(r.client, port(dstV4, 7)) == want })
	}
	is("service")
	eventually(t, "the program on the cgroup is pinned", func() bool {
		return r.edge.spawn(t, exec.Command("sh", "-c", "test -e "+filepath.Join(bpffs, "anyport")+"/listen_*")).wait(t) == 0
	})
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	is("service")
	service.signal(t, syscall.SIGKILL)
	service.wait(t)
	is("refused")
	start()
	is("service")
	running := p.restart(t)
	is("service")
	running.signal(t, syscall.SIGTERM)
	running.wait(t)
	is("service")
	if status := r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).wait(t); status != 0 {
		t.Errorf("unload ended with %d", status)
	}
}

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

// TestSSHOnAPrefix has Debian's sshd on every address of a /64, with the client's own address in its log.
func TestSSHOnAPrefix(t *testing.T) {
	t.Parallel()
	r, group, dir := newRig(t), newUnit(t), t.TempDir()
	key := filepath.Join(dir, "key")
	if out, err := exec.Command(needTool(t, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // its privilege separation directory
		t.Fatal(err)
	}
	sshd := group.run(t, r.edge, "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", key, "-o", "ListenAddress=[::1]:2222", "-o", "LogLevel=VERBOSE", "-o", "PidFile=none")
	r.edge.serveWith(t, fmt.Sprintf(`
[route.ssh]
protocol = "tcp"
prefixes = ["2001:db8:1:2::/64"]
ports    = [22]
action   = "socket"
service  = %q
`, group.name))
	for _, dst := range []string{"2001:db8:1:2::1", "2001:db8:1:2:ffff::ffff"} {
		eventually(t, "sshd greets at "+dst, func() bool {
			conn, err := r.client.tryDial("tcp", "", port(dst, 22))
			if err != nil {
				return false
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			greeting := make([]byte, 8)
			_, err = io.ReadFull(conn, greeting)
			return err == nil && string(greeting) == "SSH-2.0-"
		})
		sshd.expect(t, "Connection from "+clientV6, "on "+dst+" port 22")
	}
}

// TestServiceMistakes: services that cannot be given packets are refused at the start, by name and with the way out.
func TestServiceMistakes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		name  string
		start func(group *unit)
		words []string
	}{
		{"several sockets", func(group *unit) {
			group.run(t, r.edge, "ncat", "-4lk", "127.0.0.1", "7001")
			group.run(t, r.edge, "ncat", "-4lk", "127.0.0.1", "7002")
		}, []string{"has several sockets for tcp", `listener = one of "127.0.0.1:7001", "127.0.0.1:7002"`}},
		{"another network namespace", func(group *unit) {
			group.run(t, r.origin, "ncat", "-4lk", "127.0.0.1", "7001")
		}, []string{"runs in another network namespace"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			group := newUnit(t)
			c.start(group)
			file := fmt.Sprintf("[route.echo]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [7]\naction = \"socket\"\nservice = %q\n", servedV4, group.name)
			eventually(t, "anyport refuses it", func() bool { // as soon as the service listens
				p := r.edge.launch(t, file)
				for p.alive() && !strings.Contains(p.String(), "msg=serving") {
					time.Sleep(10 * time.Millisecond)
				}
				if p.alive() {
					p.signal(t, syscall.SIGTERM)
					p.wait(t)
					return false
				}
				p.expect(t, c.words...)
				return true
			})
			group.stop(t)
		})
	}
}
