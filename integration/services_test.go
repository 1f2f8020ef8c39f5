package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServiceOnFourPorts is the demonstration that sk_lookup was written for: an ncat that knows nothing of it answers on
// four ports. No socket of anyport takes part: only ncat has the conns, and they outlive anyport.
func TestServiceOnFourPorts(t *testing.T) {
	t.Parallel()
	r, group := newRig(t), newUnit(t)
	group.run(t, r.edge, "ncat", "-4lke", needTool(t, "cat"), "127.0.0.1", "7777")
	steering, _ := r.edge.pinnedSteering(t)
	p := r.edge.serveWith(t, steering+strings.Replace(serviceRoute("echo", 7, group.name), "[7]", "[7, 77, 777, 7777]", 1))
	p.expect(t, "a socket of a service takes packets", "127.0.0.1:7777", "process=ncat")
	conns := map[int]net.Conn{}
	for _, n := range []int{7, 77, 777, 7777} {
		conns[n] = r.client.dial(t, "tcp", port(dstV4, n))
		if got := trade(t, conns[n], "hello\n"); got != "hello\n" {
			t.Errorf("port %d answers %q", n, got)
		}
		holders := r.edge.output(t, "ss", "-Htnp", "state", "established", "sport", "=", fmt.Sprint(n))
		if !strings.Contains(holders, dstV4) || !strings.Contains(holders, `"ncat"`) && !strings.Contains(holders, `"cat"`) || strings.Contains(holders, "anyport") {
			t.Errorf("port %d: the conn is held by:\n%s", n, holders)
		}
	}
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	for n, conn := range conns {
		if got := trade(t, conn, "still there\n"); got != "still there\n" {
			t.Errorf("port %d, after the end of anyport: %q", n, got)
		}
		if got := trade(t, r.client.dial(t, "tcp", port(dstV4, n)), "new\n"); got != "new\n" {
			t.Errorf("port %d, a new conn after the end of anyport: %q", n, got)
		}
	}
	again := p.restart(t)
	for n, conn := range conns {
		if got := trade(t, conn, "still there\n"); got != "still there\n" {
			t.Errorf("port %d, with the next anyport: %q", n, got)
		}
	}
	again.signal(t, syscall.SIGTERM)
	again.wait(t)
	group.stop(t) // also the programs that ncat has started: without routes they are not told that the conns end
	p.unload(t)
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
			p := r.edge.serveWith(t, serviceRoute("echo", 7, group.name, `listener = "127.0.0.1:7777"`, c.origins))
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
