package integration

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// guardStatus is what status says of the guard against crash loops.
type guardStatus struct {
	Off           string
	Guarded       bool
	Deaths        int
	File, Serving string
	Lasted        string
	Problem       string
}

func (p *proxy) guardStatus(t *testing.T) guardStatus {
	t.Helper()
	var s struct {
		Guard guardStatus `json:"crash_loop_guard"`
	}
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	return s.Guard
}

// TestCrashLoop has an anyport that panics on a key: it dies in the reload that brings the key, and
// again when it starts. The third process serves what lasted, says so, and goes on with it through an
// upgrade, until the file is mended.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	served := func() {
		conn := r.client.dial(t, "tcp", dstV4+":4711")
		talk(t, conn, "hello")
		conn.Close()
	}
	state := t.TempDir()
	run := faulty(t, "STATE_DIRECTORY="+state)
	t.Cleanup(func() {
		if t.Failed() {
			logFiles(t, filepath.Join(state, "*", "*.json"))
		}
	})
	const http9765 = "http = \"127.0.0.1:9765\"\n"
	p := r.edge.launchAs(t, run, http9765+relayFile)
	p.expect(t, "msg=serving")
	served()
	eventually(t, "the config lasts", func() bool { return p.guardStatus(t).Lasted != "" })
	good := p.guardStatus(t)
	if good.Off != "" || good.Guarded || good.Lasted != good.Serving || good.Serving != good.File || good.Problem != "" {
		t.Errorf("after it has lasted: %+v", good)
	}

	p.write(t, http9765+strings.ReplaceAll(relayFile, "route.v6", "route.panics"))
	if got := anyport(t, "reload", "--socket", p.socket); got.status == 0 {
		t.Errorf("reload: %+v", got)
	}
	p.wait(t)
	p.expect(t, "panic: a key that panics")
	second := r.edge.spawn(t, run(p.file))
	second.wait(t)
	second.expect(t, "panic: a key that panics")

	third := r.edge.spawn(t, run(p.file))
	third.expect(t, "level=ERROR", "crash-loop guard", "serving the last config that lasted", "deaths=2")
	third.expect(t, "msg=serving")
	served()
	if s := p.guardStatus(t); !s.Guarded || s.Serving != good.Serving || s.Deaths != 2 || s.File == s.Serving || s.Problem != "" {
		t.Errorf("the third process: %+v", s)
	}
	if got := anyport(t, "status", "--socket", p.socket); !strings.Contains(got.stdout, "CRASHED") {
		t.Errorf("status has no line for it:\n%s", got.stdout)
	}
	if _, text := r.edge.fetch(t, http.MethodGet, "/metrics"); !strings.Contains(text, "anyport_config_guarded 1") || !strings.Contains(text, "anyport_config_deaths 2") {
		t.Error("the metrics do not say so")
	}
	f := newFamily(t, &proxy{process: third, socket: p.socket})
	f.upgradeTo(t, third.cmd.Path)
	served()
	if s := p.guardStatus(t); !s.Guarded || s.Serving != good.Serving {
		t.Errorf("after the upgrade: %+v", s)
	}

	p.write(t, http9765+"# mended\n"+relayFile)
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Errorf("reload of the mended file: %+v", got)
	}
	if s := p.guardStatus(t); s.Guarded || s.Serving == good.Serving {
		t.Errorf("after the file is mended: %+v", s)
	}
	if got := anyport(t, "status", "--socket", p.socket); strings.Contains(got.stdout, "serving the config of") {
		t.Errorf("status still says so:\n%s", got.stdout)
	}
	if err := syscall.Kill(f.pids[1], syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	f.gone(t, f.pids[1])
	next := r.edge.spawn(t, run(p.file))
	next.expect(t, "msg=serving")
	if s := p.guardStatus(t); s.Guarded || s.Deaths != 0 {
		t.Errorf("after a stop: %+v", s)
	}
	next.signal(t, syscall.SIGTERM)
	if status := next.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// logFiles logs what the files that match hold.
func logFiles(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Error(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		t.Logf("%s: %v\n%s", file, err, text)
	}
}

// TestKilledTwice kills the shipped anyport right after its start, as the kernel does when memory runs
// out. Nothing has lasted, so it goes on with the file, and says how often it died.
func TestKilledTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	run := withState(t.TempDir())
	p := r.edge.launchAs(t, run, relayFile)
	running := p.process
	for deaths := range 3 {
		running.expect(t, "msg=serving")
		if s := p.guardStatus(t); s.Off != "" || s.Deaths != deaths || s.Guarded {
			t.Errorf("after %d deaths: %+v", deaths, s)
		}
		running.signal(t, syscall.SIGKILL)
		running.wait(t)
		running = r.edge.spawn(t, run(p.file))
	}
	running.expect(t, "crash-loop guard", "no config that lasted is kept", "deaths=3")
	running.expect(t, "msg=serving")
	running.signal(t, syscall.SIGTERM)
	running.wait(t)
	again := r.edge.spawn(t, run(p.file))
	again.expect(t, "deaths=3") // a stop is no death
	again.expect(t, "msg=serving")
	again.signal(t, syscall.SIGTERM)
	again.wait(t)
}

// withState starts the anyport under test with a state directory.
func withState(dir string) func(file string) *exec.Cmd {
	return func(file string) *exec.Cmd {
		return exec.Command(program, "run", "-c", file, "--state", dir)
	}
}

// TestPanicEndsTheProcess panics in each kind of goroutine: the process ends, with the stack on stderr.
func TestPanicEndsTheProcess(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		run := faulty(t, faultVariable+"="+f.at)
		t.Run(f.at, func(t *testing.T) {
			t.Parallel()
			p := newRig(t).dieOf(t, run)
			p.expect(t, "panic: fault in "+f.at)
			p.expect(t, "goroutine ", "[running")
			p.expect(t, "/"+filepath.Base(f.file)+":")
		})
	}
	t.Run("nobody reads stderr", func(t *testing.T) {
		t.Parallel()
		stderr := fullPipe(t)
		cmd := faulty(t, faultVariable+"=tcp loop")
		newRig(t).dieOf(t, func(file string) *exec.Cmd {
			of := cmd(file)
			shell := exec.Command("sh", "-c", `exec "$0" run -c "$1" 2>&3 3>&-`, of.Path, file)
			shell.Env, shell.ExtraFiles = of.Env, []*os.File{stderr}
			return shell
		})
	})
}

// dieOf starts an anyport that uses all that the faults are in, and expects it to die of a panic.
func (r *rig) dieOf(t *testing.T, run func(file string) *exec.Cmd) *proxy {
	t.Helper()
	p := r.edge.launchAs(t, run, "[log]\naccess = \"stderr\"\n"+relayFile+`[route.v4.health]
type = "tcp"
port = 80
[route.named]
protocol = "tcp"
prefixes = ["203.0.113.0/24"]
origins = ["localhost"]
`)
	t.Cleanup(func() { os.Remove(p.socket) }) // no process that dies removes it
	r.knock(p)
	if status := p.wait(t); status != 2 {
		t.Errorf("exit status %d", status)
	}
	return p
}

// fullPipe is a pipe that nobody reads and that has no room.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close(); writer.Close() })
	raw, err := writer.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Write(func(fd uintptr) bool {
		for err == nil {
			_, err = unix.Write(int(fd), make([]byte, 4096))
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return writer
}

// knock gives the event loops something to do until the process ends, or patience does.
func (r *rig) knock(p *proxy) {
	dialer := net.Dialer{Timeout: 200 * time.Millisecond} // nobody answers for a process that is dead
	for deadline := time.Now().Add(patience); p.alive() && time.Now().Before(deadline); {
		r.client.do(func() {
			for _, network := range []string{"tcp4", "udp4"} {
				if conn, err := dialer.Dial(network, dstV4+":4711"); err == nil {
					conn.Write([]byte("hello"))
					conn.Close()
				}
			}
		})
		select {
		case <-p.done:
		case <-time.After(100 * time.Millisecond):
		}
	}
}
