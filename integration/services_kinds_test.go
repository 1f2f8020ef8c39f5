package integration

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
		{"MPTCP", func(group *unit) {
			group.run(t, r.edge, "python3", serverArgs("mptcp", 7001, "")...)
		}, []string{"listens with MPTCP", "EOPNOTSUPP", "GODEBUG=multipathtcp=0"}},
		{"UDP that could not bind again", func(group *unit) {
			group.run(t, r.edge, "python3", serverArgs("alone", 7, "")...)
		}, []string{"the udp socket 0.0.0.0:7", "has no SO_REUSEADDR"}},
		{"another network namespace", func(group *unit) {
			group.run(t, r.origin, "ncat", "-4lk", "127.0.0.1", "7001")
		}, []string{"runs in another network namespace"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			group := newUnit(t)
			c.start(group)
			file := fmt.Sprintf("[route.echo]\nprotocol = [\"tcp\", \"udp\"]\nprefixes = [%q]\nports = [7]\naction = \"socket\"\nservice = %q\norigins = [%q]\n", servedV4, group.name, originV4)
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

// TestServiceByProcess names services by their process, by a file with its number, and has an SO_REUSEPORT group.
func TestServiceByProcess(t *testing.T) {
	t.Parallel()
	r, group, pidfile := newRig(t), newUnit(t), filepath.Join(t.TempDir(), "pid")
	start := func(kind string, port int, text string) *process {
		return r.edge.spawn(t, exec.Command(needTool(t, "python3"), serverArgs(kind, port, text)...))
	}
	own, first := start("tcp", 7001, "own"), start("tcp", 7002, "first")
	members := map[string]*process{}
	for _, name := range []string{"one", "two"} {
		members[name] = group.run(t, r.edge, "python3", serverArgs("group", 7003, name)...)
	}
	note := func(p *process) {
		if err := os.WriteFile(pidfile, fmt.Appendln(nil, p.cmd.Process.Pid), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	note(first)
	r.edge.serveWith(t, serviceRoute("process", 1, fmt.Sprintf("pid:%d", own.cmd.Process.Pid))+
		serviceRoute("pidfile", 2, "pidfile:"+pidfile)+
		serviceRoute("group", 3, group.name))
	r.awaitAnswer(t, 1, "own")
	r.awaitAnswer(t, 2, "first")
	r.awaitAnswer(t, 3, "one")
	r.awaitAnswer(t, 3, "two")

	own.signal(t, syscall.SIGKILL)
	first.signal(t, syscall.SIGKILL)
	r.awaitAnswer(t, 1, "refused")
	r.awaitAnswer(t, 2, "refused")
	note(start("tcp", 7002, "second"))
	r.awaitAnswer(t, 2, "second")

	for name, other := range map[string]string{"one": "two", "two": "one"} {
		members[name].signal(t, syscall.SIGKILL)
		members[name].wait(t)
		r.awaitAnswer(t, 3, other)
		members[name] = group.run(t, r.edge, "python3", serverArgs("group", 7003, name)...)
		r.awaitAnswer(t, 3, name)
	}
}

// TestServiceTurnsToMPTCP restarts a service that then listens in a way that the kernel steers nothing to.
func TestServiceTurnsToMPTCP(t *testing.T) {
	t.Parallel()
	r, group := newRig(t), newUnit(t)
	service := group.run(t, r.edge, "python3", serverArgs("tcp", 7001, "tcp")...)
	p := r.edge.serveWith(t, serviceRoute("echo", 7, group.name))
	r.awaitAnswer(t, 7, "tcp")
	service.signal(t, syscall.SIGKILL)
	service.wait(t)
	group.run(t, r.edge, "python3", serverArgs("mptcp", 7001, "mptcp")...)
	p.expect(t, "packets cannot go to a service", "listens with MPTCP", "GODEBUG=multipathtcp=0")
	r.awaitAnswer(t, 7, "refused")
	if got := anyport(t, "status", "--socket", p.socket); !strings.Contains(got.stdout, "AWAY") || !strings.Contains(got.stdout, "listens with MPTCP") {
		t.Errorf("status: %s", got.stdout)
	}
}

// TestServiceOverUDP has an origin take over while a service is away. Each answers from the address that was asked.
func TestServiceOverUDP(t *testing.T) {
	t.Parallel()
	r, group := newRig(t), newUnit(t)
	r.origin.answer(t, port(originV4, 7), func([]byte) []byte { return []byte("origin") })
	r.edge.serveWith(t, fmt.Sprintf("[route.echo]\nprotocol = \"udp\"\nprefixes = [%q]\nports = [7]\naction = \"socket\"\nservice = %q\norigins = [%q]\n", servedV4, group.name, originV4))
	is := func(want string) {
		t.Helper()
		conn := r.client.dial(t, "udp", port(dstV4, 7)) // connected: an answer from another address or port is not received
		eventually(t, "udp port 7 answers "+want, func() bool {
			answer := make([]byte, 100)
			io.WriteString(conn, "?")
			conn.SetReadDeadline(time.Now().Add(time.Second))
			n, _ := conn.Read(answer)
			return string(answer[:n]) == want
		})
	}
	is("origin")
	for range 3 {
		service := group.run(t, r.edge, "python3", serverArgs("udp", 7, "service")...)
		is("service")
		service.signal(t, syscall.SIGKILL)
		is("origin")
	}
}

// TestServiceRules has what the kernel decides hold for a service as for origins: hours, knocks, clients, a drain.
func TestServiceRules(t *testing.T) {
	t.Parallel()
	r, group := newRig(t), newUnit(t)
	group.run(t, r.edge, "python3", serverArgs("tcp", 7001, "service")...)
	another := time.Now().UTC().AddDate(0, 0, 3).Weekday().String()[:3]
	p := r.edge.serveWith(t, serviceRoute("open", 1, group.name)+
		serviceRoute("hours", 2, group.name, fmt.Sprintf("active = [%q]", another+" UTC"))+
		serviceRoute("denied", 3, group.name, fmt.Sprintf("deny = [%q]", clientV4))+
		serviceRoute("knock", 4, group.name, "knock = [7000, 8000, 9000]"))
	r.awaitAnswer(t, 1, "service")
	for _, n := range []int{2, 3, 4} {
		if got := answerOf(r.client, port(dstV4, n)); got != "refused" {
			t.Errorf("port %d answers %q", n, got)
		}
	}
	eventually(t, "knocks open the door", func() bool {
		for _, n := range []int{7000, 8000, 9000} {
			answerOf(r.client, port(dstV4, n))
		}
		return answerOf(r.client, port(dstV4, 4)) == "service"
	})
	for _, order := range []struct{ undo, want string }{{"", "refused"}, {"--undo", "service"}} {
		args := slices.DeleteFunc([]string{"drain", "--route", "open", "--socket", p.socket, order.undo}, func(arg string) bool { return arg == "" })
		if got := anyport(t, args...); got.status != 0 {
			t.Fatalf("%v: %+v", args, got)
		}
		r.awaitAnswer(t, 1, order.want)
	}
}
