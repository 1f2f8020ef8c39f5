package integration

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFastPathOutlivesACrash kills anyport while the kernel forwards its flows. It goes on while anyport is
// dead: no datagram is lost, or goes to another flow. The next anyport goes on with them, from the same ports
// and in the worker that their clients are steered to, and they end at their time.
func TestFastPathOutlivesACrash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bpffs := t.TempDir()
	if err := r.edge.Mount("bpf", bpffs); err != nil {
		t.Fatal(err)
	}
	p := r.edge.serveWith(t, fmt.Sprintf("[listen]\nworkers = 2\n[steering]\npin = %q\n", filepath.Join(bpffs, "anyport"))+fastStormFile+"udp_idle_timeout = \"6s\"\n")
	s := r.newFastStorm(t, p)
	quiet := r.client.dial(t, "udp", "192.0.2.7:4712")
	p.goFast(t, func(conn net.Conn) { s.stayed.Add(1); trade(t, conn, "again") }, quiet)
	last := time.Now()
	s.flows++
	s.settles(t)

	running := p.process
	running.signal(t, syscall.SIGKILL)
	running.wait(t)
	dead := s.stayed.Load()
	eventually(t, "the kernel forwards them without anyport", func() bool {
		return t.Failed() || s.stayed.Load() > dead+int64(20*s.flows)
	})
	running = p.restart(t)
	if got := p.status(t).Routes; got[0].ConnsActive+got[1].ConnsActive < s.flows-1 {
		t.Errorf("%d and %d flows go on, of %d", got[0].ConnsActive, got[1].ConnsActive, s.flows)
	}
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
	if idle := time.Since(last); idle < 5*time.Second {
		t.Errorf("the quiet flow ended after %v", idle)
	}
	s.calm()

	running.signal(t, syscall.SIGTERM)
	running.signal(t, syscall.SIGINT) // at once
	running.wait(t)
	if got := r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).wait(t); got != 0 {
		t.Errorf("unload ended with %d", got)
	}
}

// TestFastPathOfHours stops the process before the end of a window: the kernel forwards the flow until
// then, and no longer, if the end of its hours ends it. In a time namespace anyport has other clocks than
// the kernel.
func TestFastPathOfHours(t *testing.T) {
	t.Parallel()
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
