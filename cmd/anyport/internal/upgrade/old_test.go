package upgrade

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/tcp"
	"anyport/proxy/udp"
)

// The test's own binary is the new process of these tests: its first argument names what it does.
var newProcesses = map[string]func(*handover.Conn) error{
	"serves": func(old *handover.Conn) error {
		p, err := Meet(old)
		if err != nil {
			return err
		}
		defer p.Close()
		if err := p.ReceiveFlows(1); err != nil {
			return err
		}
		if _, err := p.Ready(); err != nil {
			return err
		}
		_, err = p.ReceiveConns(func([]tcp.Conn) {})
		return err
	},
	"refuses the offer": func(old *handover.Conn) error {
		_, _ = old.Receive()
		return errors.New("the file is wrong")
	},
	"refuses at once": func(*handover.Conn) error { return errors.New("not this binary") },
	"ends at once":    func(*handover.Conn) error { os.Exit(3); return nil },
	"says ready at once": func(old *handover.Conn) error {
		_ = old.Send(handover.Ready, nil)
		_, err := old.Receive()
		return errors.Join(err, hang(old))
	},
	"hangs with the offer": func(old *handover.Conn) error { _, _ = old.Receive(); return hang(old) },
	"refuses the flows": func(old *handover.Conn) error {
		p, err := Meet(old)
		if err == nil {
			err = p.ReceiveFlows(1)
		}
		if err != nil {
			return err
		}
		return errors.New("the steering cannot be inherited")
	},
	"ends with the flows": func(old *handover.Conn) error {
		p, err := Meet(old)
		if err == nil {
			err = p.ReceiveFlows(1)
		}
		if err == nil {
			os.Exit(4)
		}
		return err
	},
	"ends at the word go": func(old *handover.Conn) error {
		p, err := Meet(old)
		if err == nil {
			err = p.ReceiveFlows(1)
		}
		if err == nil {
			err = old.Send(handover.Ready, nil)
		}
		if err == nil {
			os.Exit(5)
		}
		return err
	},
	"hangs with the flows": func(old *handover.Conn) error {
		p, err := Meet(old)
		if err == nil {
			err = p.ReceiveFlows(1)
		}
		return errors.Join(err, hang(old))
	},
	"takes no conns": func(old *handover.Conn) error {
		p, err := Meet(old)
		if err == nil {
			err = p.ReceiveFlows(1)
		}
		if err == nil {
			_, err = p.Ready()
		}
		if err == nil {
			err = old.Close()
		}
		time.Sleep(100 * time.Millisecond) // it serves a little
		return err
	},
}

// hang waits until the test kills this process.
func hang(*handover.Conn) error { time.Sleep(time.Minute); return errors.New("nobody has killed it") }

func init() { newProcesses["serves, of an older version"] = newProcesses["serves"] }

func TestMain(m *testing.M) {
	if len(os.Args) < 2 || newProcesses[os.Args[1]] == nil {
		os.Exit(m.Run())
	}
	if os.Args[1] == "serves, of an older version" {
		os.Unsetenv("ANYPORT_HANDOVER_STDERR")
	}
	old, err := handover.Predecessor()
	if err != nil || old == nil {
		os.Exit(9)
	}
	if err := newProcesses[os.Args[1]](old); err != nil {
		_ = old.Refuse(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// fakeServer holds some flows and conns, and records what happens to it.
type fakeServer struct {
	offer  Offer
	flows  []udp.Flow
	conns  []tcp.Conn
	events []string
	pid    int                // of the new process, once it is told
	during func(event string) // called with each event; nil: nothing
}

func (f *fakeServer) note(event string) {
	f.events = append(f.events, event)
	if f.during != nil {
		f.during(event)
	}
}

func (f *fakeServer) Offer(send func(Offer) error) error { f.note("offer"); return send(f.offer) }

func (f *fakeServer) HandOver(_ context.Context, give func([]udp.Flow) error) error {
	f.note("stands still")
	return give(f.flows)
}

func (f *fakeServer) MoveConns(_ context.Context, give func([]tcp.Conn) error) error {
	f.note("conns")
	for _, c := range f.conns {
		if err := give([]tcp.Conn{c}); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeServer) Ahead() Ahead     { return Ahead{ConnFiles: 2 * len(f.conns)} }
func (f *fakeServer) Replaced(pid int) { f.pid = pid; f.note("replaced") }
func (f *fakeServer) NotReplaced()     { f.note("not replaced") }
func (f *fakeServer) Reclaim() error   { f.note("reclaim"); return nil }
func (f *fakeServer) Active() int64    { return int64(len(f.conns)) }

// memfd is a file descriptor that stands for a socket; its size tells it from others.
func memfd(t *testing.T, size int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("socket", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		t.Fatal(err)
	}
	return fd
}

func addr(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

func someFlows(t *testing.T, n int) (flows []udp.Flow) {
	for i := range n {
		flows = append(flows, udp.Flow{
			Client: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), uint16(i+1)), Dst: addr("192.0.2.1:53"), Origin: addr("10.0.0.5:53"),
			Route: "dns", FD: memfd(t, i),
		})
	}
	return flows
}

func someConns(t *testing.T, n int) (conns []tcp.Conn) {
	for i := range n {
		conns = append(conns, tcp.Conn{
			Client: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), uint16(i+1)), Dst: addr("192.0.2.1:80"), Origin: addr("10.0.0.5:80"),
			Route: "web", FDs: []int{memfd(t, 2*i), memfd(t, 2*i+1)},
		})
	}
	return conns
}

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func startOf(t *testing.T, process string) Start {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Start{Binary: binary, Args: []string{process}, Parent: handover.Self}
}

// TestRun moves all that there is to another process, in this order.
func TestRun(t *testing.T) {
	for _, n := range []int{0, 1, 300} {
		f := &fakeServer{flows: someFlows(t, n), conns: someConns(t, n/3)}
		f.offer = Offer{FDs: map[string]int{"map/a": memfd(t, 1), "program": memfd(t, 2)}, Draining: []string{"web"}}
		before := openFiles(t)
		u, err := Run(t.Context(), t.Context(), f, startOf(t, "serves"), discard())
		if err != nil {
			t.Fatal(err)
		}
		if u.Flows != n || u.Conns != n/3 || u.Left != 0 || u.PID == os.Getpid() || u.PID == 0 {
			t.Errorf("%+v, want %d flows and %d conns", u, n, n/3)
		}
		if want := []string{"offer", "stands still", "replaced", "conns"}; !slices.Equal(f.events, want) {
			t.Errorf("%v, want %v", f.events, want)
		}
		waitFiles(t, before)
	}
}

// TestRunOlderVersion starts a process that does not know of the other stderr a second time, with that as its own.
func TestRunOlderVersion(t *testing.T) {
	f := &fakeServer{}
	before := openFiles(t)
	u, err := Run(t.Context(), t.Context(), f, startOf(t, "serves, of an older version"), discard())
	if want := []string{"offer", "offer", "stands still", "replaced", "conns"}; err != nil || u.PID == 0 || !slices.Equal(f.events, want) {
		t.Errorf("%+v, %v: %v, want %v", u, err, f.events, want)
	}
	waitFiles(t, before)
}

// TestRunFails: whatever the new process does wrong, before it serves nothing has changed here: the
// steering is taken back, the new process has ended, and the reason is told.
func TestRunFails(t *testing.T) {
	for _, test := range []struct {
		process string
		want    string // the error
		events  []string
	}{
		{"refuses at once", "not this binary", []string{"offer"}},
		{"refuses the offer", "the file is wrong", []string{"offer"}},
		{"ends at once", "the new process ended before it was ready: exit status 3", []string{"offer"}},
		{"says ready at once", `the new process was killed, because it did not answer: unexpected message "ready", want "prepared"`, []string{"offer"}},
		{"refuses the flows", "the steering cannot be inherited", []string{"offer", "stands still", "reclaim"}},
		{"ends with the flows", "the new process ended before it was ready: exit status 4", []string{"offer", "stands still", "reclaim"}},
	} {
		t.Run(test.process, func(t *testing.T) {
			f := &fakeServer{flows: someFlows(t, 3), conns: someConns(t, 3)}
			before := openFiles(t)
			u, err := Run(t.Context(), t.Context(), f, startOf(t, test.process), discard())
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			if u.PID != 0 {
				t.Errorf("%+v, want nothing", u)
			}
			if !slices.Equal(f.events, test.events) {
				t.Errorf("%v, want %v", f.events, test.events)
			}
			for _, c := range f.conns {
				for _, fd := range c.FDs {
					if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
						t.Errorf("a socket of a conn is closed: %v", err)
					}
				}
			}
			waitFiles(t, before)
		})
	}
}

// TestGoIsLost: a new process that ends before it gets the word go leaves the service with this one.
func TestGoIsLost(t *testing.T) {
	f := &fakeServer{flows: someFlows(t, 1)}
	defer waitFiles(t, openFiles(t))
	f.during = func(event string) {
		for deadline := time.Now().Add(time.Minute); event == "replaced" && unix.Kill(f.pid, 0) == nil; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Error("the new process does not end")
				return
			}
		}
	}
	u, err := Run(t.Context(), t.Context(), f, startOf(t, "ends at the word go"), discard())
	if err == nil || !strings.Contains(err.Error(), "exit status 5") || u.PID != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	if want := []string{"offer", "stands still", "replaced", "not replaced", "reclaim"}; !slices.Equal(f.events, want) {
		t.Errorf("%v, want %v", f.events, want)
	}
}

// TestRunNoBinary: what cannot be started touches nothing.
func TestRunNoBinary(t *testing.T) {
	f := &fakeServer{}
	before := openFiles(t)
	_, err := Run(t.Context(), t.Context(), f, Start{Binary: t.TempDir() + "/gone"}, discard())
	if err == nil || !strings.Contains(err.Error(), "start the new binary") || len(f.events) > 0 {
		t.Errorf("%v, %v", err, f.events)
	}
	waitFiles(t, before)
}

// TestRunCannotOffer: an error of this process's own kills the new one.
func TestRunCannotOffer(t *testing.T) {
	f := &failingOffer{}
	defer waitFiles(t, openFiles(t))
	if _, err := Run(t.Context(), t.Context(), f, startOf(t, "hangs with the offer"), discard()); err == nil || !strings.Contains(err.Error(), "no listeners") {
		t.Errorf("error %v", err)
	}
}

type failingOffer struct{ fakeServer }

func (*failingOffer) Offer(func(Offer) error) error { return errors.New("no listeners can be read") }

// TestRunCancelled: a signal to stop kills the new process as long as that does not serve.
func TestRunCancelled(t *testing.T) {
	for process, event := range map[string]string{"hangs with the offer": "offer", "hangs with the flows": "stands still"} {
		t.Run(process, func(t *testing.T) {
			starting, cancel := context.WithCancel(t.Context())
			defer cancel()
			f := &fakeServer{flows: someFlows(t, 1)}
			f.during = func(now string) {
				if now == event {
					time.AfterFunc(20*time.Millisecond, cancel)
				}
			}
			before := openFiles(t)
			begun := time.Now()
			_, err := Run(starting, t.Context(), f, startOf(t, process), discard())
			if !errors.Is(err, ErrCancelled) {
				t.Errorf("error %v, want %v", err, ErrCancelled)
			}
			if took := time.Since(begun); took >= Timeout {
				t.Errorf("it took %v", took)
			}
			waitFiles(t, before)
		})
	}
}

// TestRunCancelledTooLate: once the new process serves, the end of starting changes nothing.
func TestRunCancelledTooLate(t *testing.T) {
	starting, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := &fakeServer{conns: someConns(t, 2)}
	f.during = func(event string) {
		if event == "replaced" {
			cancel()
		}
	}
	defer waitFiles(t, openFiles(t))
	u, err := Run(starting, t.Context(), f, startOf(t, "serves"), discard())
	if err != nil || u.Conns != 2 {
		t.Errorf("%+v, %v", u, err)
	}
}

// TestConnsStay: conns that the new process does not take stay here, and the upgrade is done.
func TestConnsStay(t *testing.T) {
	f := &fakeServer{conns: someConns(t, 5)}
	var log strings.Builder
	defer waitFiles(t, openFiles(t))
	u, err := Run(t.Context(), t.Context(), f, startOf(t, "takes no conns"), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || u.PID == 0 || u.Conns != 0 || u.Left != 5 {
		t.Errorf("%+v, %v, want 5 that are left", u, err)
	}
	if !strings.Contains(log.String(), "live conns cannot move") {
		t.Errorf("the log says %q", log.String())
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// waitFiles waits until no more files are open than before: the pidfd is closed a little later.
func waitFiles(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		now := openFiles(t)
		if now <= before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d files are open, %d before", now, before)
		}
	}
}
