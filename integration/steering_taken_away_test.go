package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// robbed is an anyport under load, from which the test removes one thing after the other.
type robbed struct {
	*rig
	test *testing.T // the whole of it
	*proxy
	disk   string // of the access log, and of nothing else
	pins   string // the directory
	stderr string // a FIFO
	reader *os.File
	log    *journal // what the reader has read
	load   *load
	stays  *storm              // conns that stay
	flows  map[string]net.Conn // that stay
	ports  map[string]string   // from which these come to the origin
}

// A theft removes something, waits for the effect, and restores it or has anyport do so.
type theft struct {
	name  string
	take  func(*testing.T, *robbed)
	words []string // of the line of the log that names it, of which there is one; nil: the log has nothing to say
}

var thefts = []theft{
	{"the reader of stderr", stealReader, nil},
	{"the disk of the access log", stealDisk, []string{"the access log is not complete", "no space left on device"}},
	{"the reader of the access log", stealAccessReader, []string{"the access log is not complete", "broken pipe"}},
	{"the file", stealFile, []string{"reload refused", "no such file"}},
	{"the file, for a FIFO", stealFileForFIFO, []string{"reload refused", "is a FIFO"}},
	{"the admin socket", stealSocket, []string{"the admin socket was removed"}},
	{"the link", stealLink, []string{"somebody else has touched the link"}},
	{"the pins", stealPins, []string{"somebody else has removed pins"}},
	{"the IPv4 route", stealRoute(servedV4), []string{"somebody else has removed local routes"}},
	{"the IPv6 route", stealRoute(servedV6), []string{"somebody else has removed local routes"}},
	{"lo", stealLo, []string{"somebody else has removed local routes"}},
	{"an origin", stealOrigin, nil},
	{"the descriptors", stealDescriptors, nil},
}

// TestTakenAway removes one thing after the other under load. No existing conn or flow
// is lost, all commands work, and new clients are served again.
func TestTakenAway(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newRobbed(t, soak(40, 200), soak(200, 1000))
	for range soak(1, 5) {
		for _, c := range thefts {
			t.Run(c.name, func(t *testing.T) {
				before := count(r.log, c.words)
				c.take(t, r)
				r.goesOn(t)
				if c.words == nil {
					return
				}
				eventually(t, "the log names it", func() bool { return count(r.log, c.words) > before })
				if n := count(r.log, c.words) - before; n != 1 {
					t.Errorf("the log has %d lines with %q", n, c.words)
				}
			})
		}
	}
	r.load.end()
	r.stays.calm()
	r.leave(t)
	t.Logf("%d conns, %d datagrams were answered; %d conns and %d datagrams were not, while something was missing", r.load.conns.Load(), r.load.answers.Load(), r.load.failed.Load(), r.load.datagrams.Load()-r.load.answers.Load())
	if panics := count(r.log, []string{"panic"}) + count(r.log, []string{"goroutine "}); panics > 0 {
		t.Errorf("the log has a panic:\n%s", r.log)
	}
}

func count(j *journal, words []string) (n int) {
	if words == nil {
		return 0
	}
	for line := range strings.Lines(j.String()) {
		if holdsAll(line, words) {
			n++
		}
	}
	return n
}

// stayingFile has flows that stay live on while a theft takes long.
const stayingFile = `
[route.stays-v4]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
ports    = [4712]
origins  = ["10.0.0.5"]
udp_idle_timeout = "10m"
[route.stays-v6]
protocol = "udp"
prefixes = ["2001:db8:1::/48"]
ports    = [4712]
origins  = ["[fd00:5::5]"]
udp_idle_timeout = "10m"
`

func newRobbed(t *testing.T, conns, datagrams int) *robbed {
	t.Helper()
	r := &robbed{rig: newRig(t), test: t, disk: t.TempDir(), log: newJournal(), flows: map[string]net.Conn{}, ports: map[string]string{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("anyport printed:\n%s", r.log)
		}
	})
	bpffs := t.TempDir()
	for dir, kind := range map[string]string{bpffs: "bpf", r.disk: "tmpfs,size=4m"} {
		kind, options, _ := strings.Cut(kind, ",")
		if err := r.edge.Mount(kind, dir, options); err != nil {
			t.Fatal(err)
		}
	}
	r.pins = filepath.Join(bpffs, "anyport")
	for _, host := range []string{"10.0.0.5", "[" + originV6 + "]"} {
		r.origin.serve(t, host+":4711", func(conn net.Conn) { replyAll(conn, named("same")) })
		r.origin.answer(t, host+":4711", named("same"))
		r.origin.answerPorts(t, host+":4712")
		r.origin.both(t, host+":80", named("origin"))
	}
	r.start(t)
	r.stays = newStorm(t, r.client)
	for _, host := range []string{dstV4, "[" + dstV6 + "]"} {
		r.stays.steady(t, "tcp", host+":4711")
		r.flows[host] = r.client.dial(t, "udp", host+":4712")
		r.ports[host] = question(t, r.flows[host], "who am I?")
	}
	r.load = newLoad(t, r.client, conns, datagrams)
	return r
}

func (r *robbed) start(t *testing.T) {
	t.Helper()
	r.stderr = filepath.Join(t.TempDir(), "stderr")
	if err := unix.Mkfifo(r.stderr, 0o600); err != nil {
		t.Fatal(err)
	}
	r.listen(t)
	stderr, err := os.OpenFile(r.stderr, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	r.proxy = r.edge.launchAs(t, withStderr(stderr, ""), fmt.Sprintf("[steering]\npin = %q\n[log]\naccess = %q\n", r.pins, filepath.Join(r.disk, "access.log"))+relayFile+stayingFile)
	r.answers(t)
}

// listen reads stderr from now on.
func (r *robbed) listen(t *testing.T) {
	t.Helper()
	var err error
	if r.reader, err = os.OpenFile(r.stderr, os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	reader := r.reader
	r.test.Cleanup(func() { reader.Close() })
	go func() { // ended by the end of the reader
		for {
			if n, _ := io.Copy(r.log, reader); n == 0 {
				if _, err := reader.Stat(); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond) // nobody writes yet
			}
		}
	}()
}

// leave stops anyport, and removes the pins that it leaves.
func (r *robbed) leave(t *testing.T) {
	t.Helper()
	r.signal(t, syscall.SIGTERM)
	r.signal(t, syscall.SIGINT)
	if status := r.wait(t); status != 0 {
		t.Errorf("anyport ended with %d", status)
	}
	unload := r.edge.spawn(t, exec.Command(program, "unload", "-c", r.file))
	if status := unload.wait(t); status != 0 {
		t.Errorf("unload ended with %d", status)
	}
}

// inside is a path as anyport sees it.
func (r *robbed) inside(path string) string {
	return filepath.Join("/proc", fmt.Sprint(r.cmd.Process.Pid), "root", path)
}

// goesOn checks that no conn or flow was lost, that commands work, and that new clients are
// served.
func (r *robbed) goesOn(t *testing.T) {
	t.Helper()
	if !r.alive() {
		t.Fatal("anyport has ended")
	}
	r.obeys(t)
	if got := r.ask(t, "reload"); got.status != 0 {
		t.Errorf("reload: %+v", got)
	}
	if s := r.proxy.status(t).Steering; !s.Attached {
		t.Errorf("the status says %+v", s)
	}
	for host, flow := range r.flows {
		if got := insistOn(t, flow); got != r.ports[host] {
			t.Errorf("the flow of %s came to the origin from port %s, and comes from port %q", host, r.ports[host], got)
		}
	}
	r.reach(t, "origin", dstV4+":80", "["+dstV6+"]:80")
	for _, counter := range []*atomic.Int64{&r.load.conns, &r.load.answers} {
		before := counter.Load()
		eventually(t, "the load is served", func() bool { return counter.Load() > before+10 })
	}
}

// insistOn asks until it gets an answer: a datagram can be lost while something is missing.
func insistOn(t *testing.T, flow net.Conn) (answer string) {
	t.Helper()
	eventually(t, "a flow that stays is answered", func() bool {
		flow.SetDeadline(time.Now().Add(silence))
		if _, err := flow.Write([]byte("who am I?")); err != nil {
			return false
		}
		buffer := make([]byte, 100)
		n, err := flow.Read(buffer)
		answer = string(buffer[:n])
		return err == nil
	})
	return answer
}

// load is conns and datagrams at a steady rate.
type load struct {
	end                               func()
	conns, failed, datagrams, answers atomic.Int64
}

func newLoad(t *testing.T, from *host, conns, datagrams int) *load {
	t.Helper()
	const workers = 4
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	l := &load{end: func() { stop(); all.Wait() }}
	t.Cleanup(func() { l.end() })
	for n := range workers {
		dst := netip.AddrPortFrom(netip.MustParseAddr([]string{dstV4, dstV6}[n%2]), 4711).String()
		all.Go(func() { from.do(func() { l.connect(ctx, dst, time.Second*workers/time.Duration(conns)) }) })
		all.Go(func() { from.do(func() { l.send(ctx, dst, time.Second*workers/time.Duration(datagrams)) }) })
	}
	return l
}

// connect makes a conn each interval, until ctx ends.
func (l *load) connect(ctx context.Context, dst string, interval time.Duration) {
	for ticker := time.NewTicker(interval); ctx.Err() == nil; <-ticker.C {
		conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", dst)
		if err == nil {
			conn.SetDeadline(time.Now().Add(2 * time.Second))
			if _, err = io.WriteString(conn, "x"); err == nil {
				_, err = io.ReadFull(conn, make([]byte, len("same x")))
			}
			conn.Close()
		}
		if err == nil {
			l.conns.Add(1)
		} else if ctx.Err() == nil {
			l.failed.Add(1)
		}
	}
}

// send sends a datagram each interval, until ctx ends, in a new flow each hundred of them.
func (l *load) send(ctx context.Context, dst string, interval time.Duration) {
	var conn net.Conn
	defer func() { conn.Close() }()
	ticker := time.NewTicker(interval)
	for n := 0; ctx.Err() == nil; n++ {
		if n%100 == 0 {
			if conn != nil {
				conn.Close()
			}
			var err error
			if conn, err = net.Dial("udp", dst); err != nil {
				panic(err) // a fault of the harness: it takes a route alone
			}
			go l.hear(conn) // ended by the end of the conn
		}
		if _, err := conn.Write([]byte("x")); err == nil {
			l.datagrams.Add(1)
		}
		<-ticker.C
	}
}

func (l *load) hear(conn net.Conn) {
	for buffer := make([]byte, 100); ; {
		_, err := conn.Read(buffer)
		switch {
		case err == nil:
			l.answers.Add(1)
		case errors.Is(err, net.ErrClosed):
			return
		}
	}
}

func stealReader(t *testing.T, r *robbed) {
	r.reader.Close()
	lost := r.logStatus(t).Lost
	for range 3 {
		if got := r.ask(t, "reload"); got.status != 0 {
			t.Errorf("reload: %+v", got)
		}
	}
	eventually(t, "lines are lost", func() bool { return r.logStatus(t).Lost > lost })
	r.listen(t)
	eventually(t, "the log says how many", func() bool { return count(r.log, []string{"lines of this log were lost"}) > 0 })
}

func stealDisk(t *testing.T, r *robbed) {
	lost := r.logStatus(t).AccessLost
	filler := r.inside(filepath.Join(r.disk, "filler"))
	_ = os.WriteFile(filler, make([]byte, 4<<20), 0o600) // as far as there is room
	eventually(t, "lines are lost", func() bool { return r.logStatus(t).AccessLost > lost+10 })
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	r.replaceAccess(t, func(string) error { return nil })
}

// replaceAccess replaces the access log by another file, as logrotate does.
func (r *robbed) replaceAccess(t *testing.T, put func(path string) error) {
	t.Helper()
	path := r.inside(filepath.Join(r.disk, "access.log"))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := put(path); err != nil {
		t.Fatal(err)
	}
	r.signal(t, syscall.SIGHUP)
}

func stealAccessReader(t *testing.T, r *robbed) {
	var reader *os.File
	r.replaceAccess(t, func(path string) (err error) {
		if err = unix.Mkfifo(path, 0o600); err == nil {
			reader, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		}
		return err
	})
	eventually(t, "the FIFO has lines", func() bool { n, _ := reader.Read(make([]byte, 100)); return n > 0 })
	reader.Close()
	lost := r.logStatus(t).AccessLost
	eventually(t, "lines are lost", func() bool { return r.logStatus(t).AccessLost > lost+10 })
	r.replaceAccess(t, func(string) error { return nil })
}

func stealFile(t *testing.T, r *robbed) { r.withoutFile(t, func(string) error { return nil }) }

func stealFileForFIFO(t *testing.T, r *robbed) {
	r.withoutFile(t, func(path string) error { return unix.Mkfifo(path, 0o600) })
}

func (r *robbed) withoutFile(t *testing.T, put func(path string) error) {
	t.Helper()
	aside := r.file + ".aside"
	if err := errors.Join(os.Rename(r.file, aside), put(r.file)); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, "reload"); got.status != 1 {
		t.Errorf("reload: %+v", got)
	}
	r.obeys(t)
	if err := os.Rename(aside, r.file); err != nil {
		t.Fatal(err)
	}
}

func stealSocket(t *testing.T, r *robbed) {
	if err := os.Remove(r.socket); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the socket is there again", func() bool { return r.ask(t, "status").status == 0 })
}

func stealLink(t *testing.T, r *robbed) {
	own := r.steeringLink(t)
	defer own.Close()
	if err := own.Detach(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program is attached again", func() bool { return r.proxy.status(t).Steering.Attached })
}

func stealPins(t *testing.T, r *robbed) {
	pins, err := os.ReadDir(r.inside(r.pins))
	if err != nil || len(pins) == 0 {
		t.Fatalf("%d pins, %v", len(pins), err)
	}
	for _, pin := range pins {
		if err := os.Remove(filepath.Join(r.inside(r.pins), pin.Name())); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "they are there again", func() bool {
		now, err := os.ReadDir(r.inside(r.pins))
		return err == nil && len(now) == len(pins)
	})
}

func stealRoute(prefix string) func(*testing.T, *robbed) {
	return func(t *testing.T, r *robbed) { r.edge.run(t, "ip route del local "+prefix+" dev lo table local") }
}

func stealLo(t *testing.T, r *robbed) {
	r.edge.run(t, "ip link set lo down")
	r.edge.run(t, "ip link set lo up")
}

// stealOrigin ends the process of an origin and starts it again.
func stealOrigin(t *testing.T, r *robbed) {
	for range 2 {
		listener := r.origin.listen(t, "10.0.0.5:4713")
		go func() { // ended by the end of the listener
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() { defer conn.Close(); echo(conn) }()
			}
		}()
		conn := r.client.dial(t, "tcp", dstV4+":4713")
		talk(t, conn, "hello")
		conn.Close()
		listener.Close()
		eventually(t, "it is gone", func() bool {
			conn, err := r.client.tryDial("tcp", "", dstV4+":4713")
			if err != nil {
				return true
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			return hearBack(conn, "hello") != nil
		})
	}
}

// stealDescriptors limits the process to a tenth more descriptors than it has open, and has
// these used up.
func stealDescriptors(t *testing.T, r *robbed) {
	pid := r.cmd.Process.Pid
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	few := uint64(r.openFiles(t)) * 11 / 10
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: few, Max: before.Max}, nil); err != nil {
		t.Fatal(err)
	}
	var greedy []net.Conn
	for range few {
		conn, err := r.client.tryDial("tcp", "", dstV4+":4711")
		if err == nil {
			greedy = append(greedy, conn)
		}
	}
	r.obeys(t)
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	for _, conn := range greedy {
		conn.Close()
	}
	eventually(t, "the limit is as before", func() bool { return r.filesLimit(t) == before.Cur })
}
