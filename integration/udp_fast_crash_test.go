package integration

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFastPathOutlivesACrash kills anyport while the kernel forwards its flows. It goes on while anyport is
// dead, if the steering is pinned or a service manager stores it: no datagram is lost, or goes to another
// flow. The next anyport goes on with them, from the same ports and in the worker that their clients are
// steered to, and they end at their time.
func TestFastPathOutlivesACrash(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	t.Run("pinned", func(t *testing.T) {
		t.Parallel()
		r, bpffs := newRig(t), t.TempDir()
		if err := r.edge.Mount("bpf", bpffs); err != nil {
			t.Fatal(err)
		}
		pin := filepath.Join(bpffs, "anyport")
		p := r.crashes(t, anyportRun, pin, func() {})
		if got := r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).wait(t); got != 0 {
			t.Errorf("unload ended with %d", got)
		}
	})
	t.Run("stored", func(t *testing.T) {
		t.Parallel()
		r, m := newRig(t), newManager(t)
		names := []string{"tcp/0", "tcp/1", "udp/0", "udp/1", "link", "fast/program", "fast/map/fast_flows", "fast/map/fast_usage", "fast/map/fast_generation"}
		r.crashes(t, m.run, "", func() {
			names := append(names, r.fastNames(t)...)
			eventually(t, "the fast path is stored", func() bool { return m.keeps(names...) })
		})
	})
}

// fastNames are those of the descriptors that attach the fast path to the edge's devices.
func (r *rig) fastNames(t *testing.T) (names []string) {
	if olderKernel(t, 6, 6) { // without TCX
		return []string{"fast/hook/caller", "fast/hook/slot"}
	}
	for _, device := range []string{"client0", "origin0"} {
		link, err := r.edge.net.LinkByName(device)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprint("fast/link/", link.Attrs().Index))
	}
	return names
}

// crashIdle is how long the flows of crashes may be idle. The kernel may take up to an eighth, and at most
// a second, less for it.
const crashIdle = 8 * time.Second

// crashes has the flows of a storm outlive their process, and stops the next one.
func (r *rig) crashes(t *testing.T, run func(file string) *exec.Cmd, pin string, settled func()) *proxy {
	t.Helper()
	access := filepath.Join(t.TempDir(), "access.log")
	p := r.edge.launchAs(t, run, fmt.Sprintf("[listen]\nworkers = 2\n[steering]\npin = %q\n[log]\naccess = %q\n", pin, access)+
		fastStormFile+fmt.Sprintf("udp_idle_timeout = %q\n", crashIdle))
	p.expect(t, "msg=serving")
	s := r.newFastStorm(t, p)
	quiet := r.client.dial(t, "udp", "192.0.2.7:4712")
	p.goFast(t, func(conn net.Conn) { s.stayed.Add(1); trade(t, conn, "again") }, quiet)
	s.flows++
	s.settles(t)
	settled()

	running := p.process
	running.signal(t, syscall.SIGKILL)
	running.wait(t)
	dead, died := s.stayed.Load(), time.Now()
	eventually(t, "the kernel forwards them without anyport", func() bool {
		return t.Failed() || s.stayed.Load() > dead+int64(20*s.flows)
	})
	running = p.restartAs(t, run)
	adopted := running.expect(t, "adopted flows", "ended=0")
	if !strings.Contains(adopted, fmt.Sprintf("flows=%d ", s.flows)) {
		t.Errorf("%d flows were in the kernel: %s", s.flows, adopted)
	}
	t.Logf("%d answers without anyport, in %v", s.stayed.Load()-dead, time.Since(died))
	s.flows--
	s.settles(t)
	eventually(t, "the quiet flow ends, and no other", func() bool {
		flows := p.udpFlows(t)
		_, still := flows[quiet.LocalAddr().String()]
		if !still && len(flows) != s.flows {
			t.Fatalf("%d flows are live, of %d", len(flows), s.flows)
		}
		return !still
	})
	endedIdle(t, access, quiet.LocalAddr().String())
	s.calm()

	running.signal(t, syscall.SIGTERM)
	running.signal(t, syscall.SIGINT) // at once
	running.wait(t)
	return p
}

// endedIdle checks the line of a flow that only the kernel has forwarded since its process died. The next
// one knows when it had its last datagram, and takes it as begun then.
func endedIdle(t *testing.T, access, client string) {
	t.Helper()
	line := regexp.MustCompile(`event=end .*client=` + regexp.QuoteMeta(client) + ` .*seconds=([0-9.]+) .*verdict=idle_timeout .*path=kernel\n`)
	var seconds float64
	eventually(t, "the access log has the end of the quiet flow", func() bool {
		text, err := os.ReadFile(access)
		if err != nil {
			t.Fatal(err)
		}
		found := line.FindSubmatch(text)
		if found != nil {
			fmt.Sscan(string(found[1]), &seconds)
		}
		return found != nil
	})
	most := crashIdle + patience // a busy machine
	if os.Getenv("ANYPORT_SOAK") == "1" {
		most = crashIdle + time.Second
	}
	idle := time.Duration(seconds * float64(time.Second))
	if idle < crashIdle-time.Second || idle > most {
		t.Errorf("the quiet flow ended %v after its last datagram, and has %v", idle, crashIdle)
	}
	t.Logf("the quiet flow ended %v after its last datagram, of %v", idle, crashIdle)
}

// TestFastPathOfHours stops the process before the end of a window: the kernel forwards the flow until
// then, and no longer, if the end of its hours ends it. In a time namespace anyport has other clocks than
// the kernel.
func TestFastPathOfHours(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	hours, end := hoursToMinute()
	clocks := map[string]net.Conn{"those of the host": stoppedFlow(t, hours, anyportRun)}
	for name, monotonic := range map[string]string{"both ahead": "300000", "one ahead, one behind": "-20"} { // more than the idle time
		unshare := []string{"--time", "--boottime", "300000", "--monotonic", monotonic, "--"}
		if err := exec.Command(needTool(t, "unshare"), append(unshare, "true")...).Run(); err != nil {
			t.Log("without time namespaces, which are there since Linux 5.6:", err)
			break
		}
		clocks[name] = stoppedFlow(t, hours, func(file string) *exec.Cmd {
			return exec.Command("unshare", append(unshare, program, "run", "-c", file)...)
		})
	}
	for time.Until(end) > 0 { // or the flows would be idle at the end
		for name, conn := range clocks {
			if !heard(conn, "in time", patience) && time.Now().Before(end) {
				t.Fatalf("%s: no answer in time, with anyport stopped", name)
			}
		}
		time.Sleep(time.Second)
	}
	time.Sleep(time.Until(end.Add(time.Second)))
	for name, conn := range clocks {
		if heard(conn, "too late", silence) {
			t.Errorf("%s: an answer a second after the end, with anyport stopped", name)
		}
	}
}

// stoppedFlow is a flow that the kernel forwards for an anyport that was stopped since, until the end of
// the test.
func stoppedFlow(t *testing.T, hours string, run func(file string) *exec.Cmd) net.Conn {
	t.Helper()
	r := newRig(t)
	r.edge.local(t, servedV4)
	r.origin.answer(t, "10.0.0.5:4000", bytes.Clone)
	p := r.edge.launchAs(t, run, fmt.Sprintf("[route.echo]\nprotocol = \"udp\"\nprefixes = [\"192.0.2.0/25\"]\norigins = [\"10.0.0.5:4000\"]\nactive = [%q]\non_inactive = \"close\"\n", hours))
	p.expect(t, "msg=serving")
	conn := r.client.dial(t, "udp", dstV4+":53")
	p.goFast(t, asker(t), conn)
	conn.SetDeadline(time.Time{})
	p.signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { p.signal(t, syscall.SIGCONT) })
	return conn
}
