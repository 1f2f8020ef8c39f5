package integration

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
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

// run starts a program of a service on h. It waits until the program is in the cgroup: else stop might not end it.
func (c *unit) run(t *testing.T, h *host, name string, args ...string) *process {
	t.Helper()
	const enter = `echo $$ > "$0"/cgroup.procs && exec "$@"`
	p := h.spawn(t, exec.Command("sh", append([]string{"-c", enter, c.dir, needTool(t, name)}, args...)...))
	eventually(t, name+" is in the cgroup", func() bool {
		of, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.cmd.Process.Pid))
		return strings.Contains(string(of), c.name+"\n") || !p.alive()
	})
	return p
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

// serviceRoute is a route of TCP port n to a service, with further keys.
func serviceRoute(name string, n int, service string, more ...string) string {
	return fmt.Sprintf("[route.%s]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [%d]\naction = \"socket\"\nservice = %q\n%s\n", name, servedV4, n, service, strings.Join(more, "\n"))
}

// pinnedSteering is the section that pins in a bpffs of this host only. When the test ends nothing is pinned.
func (h *host) pinnedSteering(t *testing.T) (section, dir string) {
	t.Helper()
	bpffs := t.TempDir()
	if err := h.Mount("bpf", bpffs); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(bpffs, "anyport")
	return fmt.Sprintf("[steering]\npin = %q\n", dir), dir
}

// unload removes what a killed process has left.
func (p *proxy) unload(t *testing.T) {
	t.Helper()
	if status := p.host.spawn(t, exec.Command(program, "unload", "-c", p.file)).wait(t); status != 0 {
		t.Errorf("unload ended with %d", status)
	}
}

// server is a service in Python: it has a socket of a kind (tcp, mptcp, group for SO_REUSEPORT, udp, or alone for udp
// without SO_REUSEADDR) and answers with a text, over UDP from the address that was asked.
const server = `
import socket, sys
kind, port, text = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
IP_PKTINFO, IPPROTO_MPTCP = 8, 262
if kind in ("udp", "alone"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == "udp")
    s.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    s.bind(("0.0.0.0", port))
    while True:
        _, ancillary, _, client = s.recvmsg(2048, 256)
        asked = ancillary[0][2][8:12]
        s.sendmsg([text], [(socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + asked + bytes(4))], 0, client)
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP if kind == "mptcp" else 0)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if kind == "group":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(("127.0.0.1", port))
s.listen(128)
while True:
    conn, _ = s.accept()
    conn.sendall(text)
    conn.close()
`

// serverArgs are the arguments of python3 for such a server.
func serverArgs(kind string, port int, text string) []string {
	return []string{"-c", server, kind, fmt.Sprint(port), text}
}

// awaitAnswer waits for an answer from the served address.
func (r *rig) awaitAnswer(t *testing.T, n int, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("port %d answers %q", n, want), func() bool { return answerOf(r.client, port(dstV4, n)) == want })
}
