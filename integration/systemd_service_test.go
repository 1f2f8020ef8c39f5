package integration

import (
	"context"
	"io"
	"net"
	"net/netip"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// TestNotify checks what a service manager is told: that anyport is ready, the start
// and the end of each reload, whoever requested it and whatever its result, and the
// stop.
func TestNotify(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := newManager(t)
	p := r.edge.launchAs(t, m.run, relayFile)
	m.expect(t, "READY=1", "2 routes", "generation 1")

	p.signal(t, syscall.SIGHUP)
	reloading := m.expect(t, "RELOADING=1")
	if !regexp.MustCompile(`MONOTONIC_USEC=[1-9][0-9]+`).MatchString(reloading) {
		t.Errorf("heard %q: systemd wants the time", reloading)
	}
	m.expect(t, "READY=1", "generation 2")

	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Errorf("reload: %+v", got)
	}
	m.expect(t, "READY=1", "generation 3")
	p.write(t, "[route]")
	before := m.String()
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 1 {
		t.Errorf("reload of a broken file: %+v", got)
	}
	eventually(t, "a refused reload ends too", func() bool {
		since := m.String()[len(before):]
		_, began := find(since, []string{"RELOADING=1"})
		_, ended := find(since, []string{"READY=1", "generation 3"})
		return began && ended
	})

	p.signal(t, syscall.SIGTERM)
	m.expect(t, "STOPPING=1", "EXTEND_TIMEOUT_USEC=40000000") // drain_timeout, and some
	if status := p.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestStore kills anyport while a service manager keeps its sockets: new clients wait,
// and the next process serves them all.
func TestStore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	m := newManager(t)
	p := r.edge.launchAs(t, m.run, relayFile)
	m.expect(t, "READY=1")
	eventually(t, "the sockets are stored", func() bool { return m.keeps("tcp/0", "udp/0", "link") })

	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	var conns []net.Conn
	for range 20 {
		conns = append(conns, r.client.dial(t, "tcp", dstV4+":4711")) // nobody is there to accept
	}
	flow := r.client.dial(t, "udp", dstV4+":4711")
	if _, err := flow.Write([]byte("while nobody was there")); err != nil {
		t.Fatal(err)
	}

	again := p.restartAs(t, m.run)
	again.expect(t, "service manager kept")
	for _, conn := range conns {
		talk(t, conn, "hello")
		conn.Close()
	}
	answer := make([]byte, 100)
	if n, err := flow.Read(answer); err != nil || string(answer[:n]) != "origin while nobody was there" {
		t.Errorf("the datagram that waited was answered with %q, %v", answer[:n], err)
	}
	again.signal(t, syscall.SIGTERM)
	if status := again.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestStoreInAStorm kills anyport repeatedly while clients keep asking: none is
// refused. Conns that a killed process had accepted are reset, which cannot be avoided.
func TestStoreInAStorm(t *testing.T) {
	t.Parallel()
	kills := soak(5, 100)
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	m := newManager(t)
	p := r.edge.launchAs(t, m.run, relayFile)
	m.expect(t, "READY=1")
	eventually(t, "the sockets are stored", func() bool { return m.keeps("tcp/0", "udp/0", "link") })

	var come, served atomic.Int64
	storm, calm := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() { // ended by calm
			for storm.Err() == nil {
				conn, err := r.client.tryDial("tcp", "", dstV4+":4711")
				if err != nil {
					t.Errorf("client %d: %v", come.Load(), err)
					return
				}
				come.Add(1)
				conn.SetDeadline(time.Now().Add(patience))
				if _, err := io.WriteString(conn, "hello"); err == nil {
					if _, err = io.ReadFull(conn, make([]byte, 5)); err == nil {
						served.Add(1)
					}
				}
				conn.Close()
			}
		})
	}
	running := p.process
	for range kills {
		before := served.Load()
		eventually(t, "clients are served", func() bool { return served.Load() > before+20 })
		running.signal(t, syscall.SIGKILL)
		running.wait(t)
		running = p.restartAs(t, m.run)
	}
	calm()
	clients.Wait()
	t.Logf("%d kills: %d conns, none refused, %d reset in the middle", kills, come.Load(), come.Load()-served.Load())
	running.signal(t, syscall.SIGTERM)
	if status := running.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestStoreOfNoUse starts with a store that another configuration left: anyport serves,
// on new sockets, and has the service manager drop the old ones.
func TestStoreOfNoUse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	m := newManager(t)
	p := r.edge.launchAs(t, m.run, relayFile)
	m.expect(t, "READY=1")
	eventually(t, "the sockets are stored", func() bool { return m.keeps("tcp/0", "udp/0", "link") })
	p.signal(t, syscall.SIGKILL)
	p.wait(t)

	p.write(t, "[listen]\nworkers = 2\n"+relayFile)
	again := p.restartAs(t, m.run)
	again.expect(t, "level=WARN", "cannot reuse the stored sockets", "listen.workers")
	r.reach(t, "origin", dstV4+":80")
	eventually(t, "the sockets of both workers are stored", func() bool { return m.keeps("tcp/1", "udp/1", "link") })
	again.signal(t, syscall.SIGTERM)
	again.wait(t)
}

// TestDrainOutlivesCrash checks that a route that was drained before a crash is still
// drained after it, and that the drain can be undone.
func TestDrainOutlivesCrash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	m := newManager(t)
	p := r.edge.launchAs(t, m.run, relayFile)
	m.expect(t, "READY=1")
	eventually(t, "the sockets are stored", func() bool { return m.keeps("tcp/0", "udp/0", "link") })
	if got := anyport(t, "drain", "--socket", p.socket); got.status != 0 {
		t.Errorf("drain: %+v", got)
	}
	p.signal(t, syscall.SIGKILL)
	p.wait(t)

	again := p.restartAs(t, m.run)
	again.expect(t, "level=WARN", "was draining before")
	for _, route := range p.status(t).Routes {
		if !route.Draining {
			t.Errorf("%s does not drain any more", route.Name)
		}
	}
	if got := r.client.ask("tcp", netip.MustParseAddrPort(dstV4+":80"), refused); got != refused {
		t.Errorf("a new conn: %s", got)
	}
	if got := anyport(t, "drain", "--undo", "--socket", p.socket); got.status != 0 {
		t.Errorf("undo: %+v", got)
	}
	r.reach(t, "origin", dstV4+":80")
	again.signal(t, syscall.SIGTERM)
	again.wait(t)
}

// TestStoreOfAnotherLink checks that, if somebody else detached the program, the
// service manager gets the link by which it was attached again, and clients wait for
// the next process as usual. The same holds after an upgrade.
func TestStoreOfAnotherLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	m := newManager(t)
	p := r.edge.launchAs(t, m.run, relayFile)
	m.expect(t, "READY=1")
	eventually(t, "the sockets are stored", func() bool { return m.keeps("tcp/0", "udp/0", "link") })
	f := newFamily(t, p)
	for n := range 3 {
		if err := m.link(t).Detach(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the link that is stored is attached", func() bool {
			kept := m.link(t)
			if kept == nil { // it is about to come
				return false
			}
			info, err := kept.Info()
			return err == nil && info.NetNs() != nil && info.NetNs().NetnsInode != 0
		})
		if n == 0 {
			f.upgrade(t)
		}
	}
	f.kill(t)
	conn := r.client.dial(t, "tcp", dstV4+":4711") // nobody is there to accept
	again := p.restartAs(t, m.run)
	again.expect(t, "service manager kept")
	talk(t, conn, "hello")
	conn.Close()
	again.signal(t, syscall.SIGTERM)
	if status := again.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// kill kills the last of the family, and waits for its end.
func (f *family) kill(t *testing.T) {
	t.Helper()
	last := f.pids[len(f.pids)-1]
	if err := syscall.Kill(last, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.gone(t, last)
}

// link is the link in the store, or nil where there is none.
func (m *manager) link(t *testing.T) link.Link {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.kept["link"]
	if kept == nil {
		return nil
	}
	fd, err := unix.FcntlInt(kept.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l, err := link.NewFromFD(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
