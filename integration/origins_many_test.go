package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestManyChecks has 2,000 origins checked, each by a check of its own. The checks take little CPU and
// few file descriptors, also while no origin answers and each check waits for its timeout: then they are
// late, which the log says, and conns to origins go on. When the origins return, all are up again.
func TestManyChecks(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	const origins, files, reserve, interval = 2000, 8192, 128, 4 * time.Second
	needTool(t, "iptables")
	r := newRig(t)
	r.edge.route(t, "10.1.0.0/16", originV4)
	r.origin.local(t, "10.1.0.0/16")
	var asked atomic.Int64
	r.origin.serve(t, "0.0.0.0:4000", func(conn net.Conn) {
		asked.Add(1)
		replyAll(conn, func(piece []byte) []byte { return piece })
	})
	var addresses []string
	for i := range origins {
		addresses = append(addresses, fmt.Sprintf("\"10.1.%d.%d:4000\"", i/250, 1+i%250))
	}
	p := r.edge.launchAs(t, func(file string) *exec.Cmd {
		return exec.Command("prlimit", fmt.Sprintf("--nofile=%d", files), program, "run", "-c", file)
	}, fmt.Sprintf(`
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = [%s]
[route.web.health]
interval = "4s"
timeout  = "2s"
rise = 1
fall = 1
`, strings.Join(addresses, ", ")))
	p.expect(t, "msg=serving", fmt.Sprintf("files_reserve=%d ", reserve))
	before := p.files(t)
	up := func() (n int) {
		for _, o := range p.status(t).Routes[0].Origins {
			if o.CheckedAt != nil && o.Up {
				n++
			}
		}
		return n
	}
	eventually(t, "all origins are checked", func() bool { return up() == origins })

	used, done, began := p.cpu(t), asked.Load(), time.Now()
	most := p.mostFiles(t, interval+interval/2)
	took, made, used := time.Since(began), asked.Load()-done, p.cpu(t)-used
	t.Logf("%d checks in %v, each with %v of CPU; %d files before, %d at most", made, took.Round(time.Millisecond), used/time.Duration(max(made, 1)), before, most)
	if expected := int64(origins * took / interval); made < expected/2 || made > 2*expected {
		t.Errorf("%d checks in %v, want about %d", made, took, expected)
	}
	if used > time.Duration(made)*3*time.Millisecond {
		t.Errorf("%d checks took %v of CPU", made, used)
	}

	live := r.client.dial(t, "tcp", dstV4+":80")
	talk(t, live, "hello")
	rule := func(what string) {
		r.origin.output(t, "iptables", "-w", what, "INPUT", "-p", "tcp", "--syn", "--dport", "4000", "-j", "DROP")
	}
	rule("-A")
	used, began = p.cpu(t), time.Now()
	for !strings.Contains(p.journal.String(), "health checks are late") {
		most = max(most, p.mostFiles(t, interval/8))
		if time.Since(began) > patience {
			t.Fatal("the log does not say that checks are late")
		}
	}
	t.Logf("no origin answers: late after %v, %v of CPU, %d files at most", time.Since(began).Round(time.Millisecond), p.cpu(t)-used, most)
	talk(t, live, "still here")
	rule("-D")
	if most > before+reserve/2+32 { // some for the commands that ask
		t.Errorf("%d files are open, %d before; the checks may hold %d", most, before, reserve/2)
	}
	returned := time.Now()
	t.Logf("%d of %d origins are down", origins-up(), origins)
	eventually(t, "all origins are up", func() bool { return up() == origins })
	t.Logf("all are up %v after they returned", time.Since(returned).Round(time.Millisecond))
	talk(t, r.client.dial(t, "tcp", dstV4+":80"), "hello")
}

// mostFiles watches for a while how many files the process has open.
func (p *proxy) mostFiles(t *testing.T, during time.Duration) (most int) {
	t.Helper()
	for began := time.Now(); time.Since(began) < during; time.Sleep(20 * time.Millisecond) {
		most = max(most, p.files(t))
	}
	return most
}

// cpu is the CPU time of the process so far, of which the kernel tells hundredths of a second.
func (p *proxy) cpu(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	var sum int
	for _, field := range fields[11:13] { // utime and stime: proc(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond
}
