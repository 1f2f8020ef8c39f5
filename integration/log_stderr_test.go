package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// accessOnStderr logs conns to where the process logs.
const accessOnStderr = "[log]\naccess = \"stderr\"\n" + relayFile

// withStderr starts anyport from a shell with another stderr, which is the caller's to close.
func withStderr(stderr *os.File, prepare string) func(file string) *exec.Cmd {
	return func(file string) *exec.Cmd {
		cmd := exec.Command("sh", "-c", prepare+`exec "$0" run -c "$1" 2>&3 3>&-`, program, file)
		cmd.ExtraFiles = []*os.File{stderr}
		return cmd
	}
}

// logStatus is what status says of the logs.
type logStatus struct {
	Lost       int `json:"lost_lines"`
	AccessLost int `json:"access_lost_lines"`
}

func (p *proxy) logStatus(t *testing.T) logStatus {
	t.Helper()
	var s struct{ Log logStatus }
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	return s.Log
}

// answers waits until a process serves that logs where the test does not look.
func (p *proxy) answers(t *testing.T) {
	t.Helper()
	eventually(t, "anyport answers", func() bool {
		return exec.Command(program, "status", "--socket", p.socket).Run() == nil
	})
}

// visit makes conns, each of which has a line in the access log.
func (r *rig) visit(t *testing.T, n int) {
	t.Helper()
	for range n {
		conn := r.client.dial(t, "tcp", dstV4+":80")
		talk(t, conn, "hello")
		conn.Close()
	}
}

// TestStderrGone ends the reader of stderr, as a restart of journald does: conns
// continue, and the lost lines are counted.
func TestStderrGone(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]string{"default": "", "SIGPIPE ignored": `trap "" PIPE; `} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.origin.serve(t, "10.0.0.5:80", echo)
			reader, stderr, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			p := r.edge.launchAs(t, withStderr(stderr, prepare), accessOnStderr)
			stderr.Close()
			p.answers(t)
			conn := r.client.dial(t, "tcp", dstV4+":80")
			talk(t, conn, "before")
			reader.Close()

			r.visit(t, 20)
			p.signal(t, syscall.SIGHUP)
			eventually(t, "the file is loaded again", func() bool { return p.status(t).Config.Generation == 2 })
			talk(t, conn, "after")
			eventually(t, "20 lines of conns, and one of the reload, are counted", func() bool { return p.logStatus(t).Lost >= 21 })
		})
	}
}

// TestStderrStuck has a reader of stderr that does not read: it delays no conn, signal,
// command, upgrade or stop.
func TestStderrStuck(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	reader, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	if _, err := unix.FcntlInt(stderr.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	p := r.edge.launchAs(t, withStderr(stderr, ""), accessOnStderr)
	stderr.Close()
	p.answers(t)
	conn := r.client.dial(t, "tcp", dstV4+":80")
	talk(t, conn, "before")
	r.visit(t, 50) // 10 KB of lines
	p.signal(t, syscall.SIGHUP)
	eventually(t, "the file is loaded again", func() bool { return p.status(t).Config.Generation == 2 })
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Errorf("reload: %+v", got)
	}
	text := make([]byte, 0, 1<<20)
	for bytes.Count(text, []byte("verdict=closed ")) < 50 || !bytes.Contains(text, []byte("generation=3")) {
		n, err := reader.Read(text[len(text):cap(text)])
		if err != nil {
			t.Fatal(err)
		}
		text = text[:len(text)+n]
	}

	r.visit(t, 50)
	f := newFamily(t, p)
	f.upgrade(t)
	talk(t, conn, "after")
	f.gone(t, f.pids[0])
	r.visit(t, 50) // the last process ends, which it is told by the cleanup, with as many waiting
}

// TestStderrComesBack has a reader return: the log says how many lines were lost.
func TestStderrComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	path := filepath.Join(t.TempDir(), "stderr")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := r.edge.launchAs(t, withStderr(stderr, ""), accessOnStderr)
	stderr.Close()
	p.answers(t)
	if began, err := reader.Read(make([]byte, 1<<16)); err != nil {
		t.Fatalf("read %d bytes: %v", began, err)
	}
	reader.Close()
	r.visit(t, 20)
	eventually(t, "the lines are counted", func() bool { return p.logStatus(t).Lost >= 20 })
	lost := p.logStatus(t).Lost
	if reader, err = os.OpenFile(path, os.O_RDONLY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	text := make([]byte, 1<<10)
	n, err := io.ReadAtLeast(reader, text, 10)
	if want := fmt.Sprintf("lost_lines=%d\n", lost); !strings.Contains(string(text[:n]), want) {
		t.Errorf("the log goes on with %q, %v, want %q", text[:n], err, want)
	}
}

// accessLine is a whole line of the access log.
var accessLine = regexp.MustCompile(`^time=\S+ event=end id=[0-9a-f]{16} protocol=tcp route=v4 client=\S+ dst=192\.0\.2\.7:80 origin=10\.0\.0\.5:80 source=10\.0\.0\.1:\d+ seconds=\S+ connect_us=\d+ attempts=1 to_origin=5 to_client=5 packets_to_origin=\d+ packets_to_client=\d+ origin_rtt_us=\d+ client_rtt_us=\d+ verdict=closed state=-- ended_by=nobody phase=end$`)

// TestFullDisk fills the disk of the access log, and then makes room: each line is
// either complete in the file or counted.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	dir := t.TempDir()
	p := r.edge.launchAs(t, func(file string) *exec.Cmd {
		const script = `mount --make-rprivate / && mount -t tmpfs -o size=64k tmpfs "$0" && head -c 32768 /dev/zero >"$0/filler" && exec "$1" run -c "$2"`
		cmd := exec.Command("sh", "-c", script, dir, program, file)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		return cmd
	}, fmt.Sprintf("[log]\naccess = %q\n", filepath.Join(dir, "access.log"))+relayFile)
	p.expect(t, "msg=serving")
	disk := filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid), "root", dir)
	lines := func() []string {
		text, err := os.ReadFile(filepath.Join(disk, "access.log"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	settled := func(want int) (written int) {
		eventually(t, fmt.Sprintf("%d lines are written or counted", want), func() bool {
			written = len(lines())
			return written+p.logStatus(t).AccessLost == want
		})
		return written
	}
	r.visit(t, 400)
	full := settled(400)
	if full == 400 {
		t.Error("the disk was not full")
	}
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	r.visit(t, 60) // 20 KB
	if now := settled(460); now != full+60 {
		t.Errorf("%d lines are in the file, want %d, and 60 since there is room", now, full)
	}
	for n, line := range lines() {
		if !accessLine.MatchString(line) {
			t.Errorf("line %d is %q", n+1, line)
		}
	}
}
