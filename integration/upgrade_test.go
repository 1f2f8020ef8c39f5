package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUpgrade hands over from process to process while clients keep asking: none is
// refused, cut or left without an answer, a conn and a flow that stay notice nothing,
// and streams arrive to the byte.
func TestUpgrade(t *testing.T) { onBothPaths(t, upgradesInStorm) }

func upgradesInStorm(t *testing.T, r *rig) {
	r.edge.answerAllErrors(t)
	for address, name := range map[string]string{"10.0.0.5:4000": "same", "10.0.0.5:4001": "even"} {
		r.origin.serve(t, address, func(conn net.Conn) { replyAll(conn, named(name)) })
		r.origin.answer(t, address, named(name))
	}
	r.origin.answerPorts(t, "10.0.0.5:4003")
	p := r.edge.serveWith(t, evenTable+"[route.ports]\nprotocol = \"udp\"\nprefixes = [\"198.18.0.0/16\"]\nports = [83]\norigins = [\"10.0.0.5:4003\"]\nudp_idle_timeout = \"1h\"\n")
	f := newFamily(t, p)
	flow := r.client.dial(t, "udp", "198.18.0.9:83")
	port := question(t, flow, "who are you?")

	s := newStorm(t, r.client)
	s.steady(t, "tcp", "198.18.0.1:80")
	for range soak(1, 16) {
		s.steady(t, "udp", "198.18.0.1:80")
	}
	for worker := range soak(8, 16) {
		s.rage(worker)
	}
	began := time.Now()
	for n := range soak(5, 200) {
		asked := s.asked.Load()
		f.upgrade(t)
		if got := question(t, flow, "and now?"); got != port {
			t.Errorf("upgrade %d: a flow came to the origin from port %s, and comes from port %s", n+1, port, got)
		}
		eventually(t, "clients are served between upgrades", func() bool { return s.asked.Load() > asked+int64(soak(100, 500)) || t.Failed() })
	}
	f.tell(t, s, began)
}

// tell fails the test for each fault of the storm that the family met.
func (f *family) tell(t *testing.T, s *storm, began time.Time) {
	t.Helper()
	h := history{trials: s.calm()}
	faults := h.faults()
	for _, fault := range faults[:min(10, len(faults))] {
		t.Error(fault)
	}
	seconds := time.Since(began).Seconds()
	t.Logf("%d upgrades: %d conns and flows, %.0f a second, and %.0f datagrams a second in flows that stay, %d faults",
		len(f.pids)-1, len(h.trials), float64(len(h.trials))/seconds, float64(s.stayed.Load())/seconds, len(faults))
}

// answerPorts tells each who asks from which port it came.
func (h *host) answerPorts(t *testing.T, address string) {
	t.Helper()
	conn := h.listenPacket(t, address)
	go func() { // ended by the end of the socket
		buffer := make([]byte, 1<<10)
		for {
			_, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			conn.WriteToUDPAddrPort(fmt.Append(nil, from.Port()), from)
		}
	}()
}

// question gives the answer to one datagram.
func question(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	answer := make([]byte, 100)
	_, err := conn.Write([]byte(text))
	n := 0
	if err == nil {
		n, err = conn.Read(answer)
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return string(answer[:n])
}

// TestUpgradeRefused tries binaries that cannot take over: the old process continues to
// serve, and reports the reason.
func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	p := r.edge.serveWith(t, relayFile)
	f := newFamily(t, p)
	flow := r.client.dial(t, "udp", dstV4+":80")
	question(t, flow, "first\n")
	for _, c := range []struct {
		name, script, file, want string
	}{
		{"no binary", "", relayFile, "no such file"},
		{"one that fails", "#!/bin/sh\necho starting >&2\necho it needs another kernel >&2\nexit 7\n", relayFile, "exit status 7: it needs another kernel\n"},
		{"one that is killed", "#!/bin/sh\nkill -9 $$\n", relayFile, "killed"},
		{"a file that is broken", "itself", "[route]", "[route.NAME]"},
		{"what cannot change", "itself", "[listen]\nworkers = 2\n" + relayFile, "listen.workers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), "anyport")
			switch c.script {
			case "":
			case "itself":
				binary = program
			default:
				if err := os.WriteFile(binary, []byte(c.script), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			p.write(t, c.file)
			got := anyport(t, "upgrade", "--binary", binary, "--socket", p.socket)
			if got.status != 1 || !strings.Contains(got.stderr, c.want) {
				t.Errorf("upgrade: %+v, want %q", got, c.want)
			}
			r.reach(t, "origin", dstV4+":80")
			question(t, flow, "still there\n")
			if pid := p.status(t).PID; pid != f.pids[0] {
				t.Errorf("pid %d serves, want %d", pid, f.pids[0])
			}
		})
	}
	p.write(t, relayFile)
	f.upgrade(t)
	r.reach(t, "origin", dstV4+":80")
}

// TestUpgradeOfPID1 runs in a container that would end with the process to be replaced.
func TestUpgradeOfPID1(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	p := r.edge.launchAs(t, func(file string) *exec.Cmd {
		cmd := exec.Command("sh", "-c", `mount --make-rprivate / && mount -t proc proc /proc && exec "$0" run -c "$1"`, program, file)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
		return cmd
	}, relayFile)
	p.expect(t, "msg=serving")
	conn := r.client.dial(t, "tcp", dstV4+":80")
	talk(t, conn, "before")
	if got := anyport(t, "upgrade", "--binary", program, "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "pid 1") {
		t.Errorf("upgrade: %+v", got)
	}
	talk(t, conn, "after")
}

// family are the processes that follow each other.
type family struct {
	proxy *proxy
	pids  []int
}

var reaper sync.Once

// newFamily ends the last of them with the test.
func newFamily(t *testing.T, p *proxy) *family {
	t.Helper()
	reaper.Do(func() { // the children of processes that have ended become this one's
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	})
	f := &family{proxy: p, pids: []int{p.cmd.Process.Pid}}
	first := p.process
	t.Cleanup(func() {
		last := f.pids[len(f.pids)-1]
		syscall.Kill(last, syscall.SIGTERM)
		syscall.Kill(last, syscall.SIGINT)
		for _, pid := range f.pids {
			f.gone(t, pid)
		}
		first.wait(t) // also for the end of its output, which the others have written to
	})
	return f
}

// upgrade replaces the last of them.
func (f *family) upgrade(t *testing.T) {
	t.Helper()
	f.upgradeTo(t, program)
}

func (f *family) upgradeTo(t *testing.T, binary string) {
	t.Helper()
	if got := command(t, binary, "upgrade", "--binary", binary, "--socket", f.proxy.socket); got.status != 0 {
		t.Fatalf("upgrade: %+v", got)
	}
	pid := f.proxy.status(t).PID
	if old := f.pids[len(f.pids)-1]; pid == old {
		t.Fatalf("pid %d serves after the upgrade as before", pid)
	}
	f.pids = append(f.pids, pid)
}

// gone waits for the end of a process.
func (f *family) gone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("pid %d ends", pid), func() bool {
		if pid != f.pids[0] { // which os/exec waits for
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // fails while another process is its parent
		}
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	})
}
