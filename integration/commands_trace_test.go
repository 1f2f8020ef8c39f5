package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const traceFile = `
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
ports    = [4711]
origins  = ["10.0.0.5"]

[route.few]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [4712]
origins  = ["10.0.0.5:4711"]
new_conns_per_second = 1

[route.shut]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [4713]
origins  = ["10.0.0.5:4711"]
deny     = ["198.51.100.0/24"]

[route.dead]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [4714]
origins  = ["10.0.0.5:9"]
`

// traced is a line of "anyport trace --json".
type traced struct {
	By, Event, ID, Protocol, Client, Dst, Route, Verdict, Fate, Reason, Origin, Error string
	Attempt                                                                           int
	Lost                                                                              uint64
	ToOrigin                                                                          *uint64 `json:"bytes_to_origin"`
	ToClient                                                                          *uint64 `json:"bytes_to_client"`
}

// tracer is a running "anyport trace".
type tracer struct {
	cmd   *exec.Cmd
	ended chan error

	mu    sync.Mutex
	lines []traced
}

// trace starts one, and waits until it traces.
func (p *proxy) trace(t *testing.T, args ...string) *tracer {
	t.Helper()
	w := &tracer{cmd: exec.Command(program, append([]string{"trace", "--json", "--socket", p.socket}, args...)...), ended: make(chan error, 1)}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.cmd.Process.Kill() })
	go func() { // ended by the end of the process
		w.read(t, out)
		w.ended <- w.cmd.Wait()
	}()
	w.await(t, "the trace begins", func(e traced) bool { return e.Event == "begin" })
	return w
}

func (w *tracer) read(t *testing.T, out io.Reader) {
	for in := bufio.NewScanner(out); in.Scan(); {
		var e traced
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			t.Errorf("%q: %v", in.Text(), err)
		}
		w.mu.Lock()
		w.lines = append(w.lines, e)
		w.mu.Unlock()
	}
}

func (w *tracer) all() []traced {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
}

// await waits for an event and returns it.
func (w *tracer) await(t *testing.T, what string, is func(traced) bool) (found traced) {
	t.Helper()
	eventually(t, what, func() bool {
		all := w.all()
		i := slices.IndexFunc(all, is)
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// of are the events of a client's address and port, as words, in their order.
func (w *tracer) of(client net.Addr) (words []string) {
	for _, e := range w.all() {
		if e.Client == client.String() {
			words = append(words, e.words())
		}
	}
	return words
}

func (e traced) words() string {
	return strings.Join(strings.Fields(strings.Join([]string{e.By, e.Event, e.Protocol, e.Dst, e.Route, e.Verdict, e.Fate, e.Reason, e.Origin, e.Error}, " ")), " ")
}

// awaitOf waits for all events of a client.
func (w *tracer) awaitOf(t *testing.T, client net.Addr, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the trace has %q", want), func() bool { return len(w.of(client)) >= len(want) })
	if got := w.of(client); !slices.Equal(got, want) {
		t.Errorf("%s has\n%s\nwant\n%s", client, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestTrace shows what happens to a conn, to a flow, and to packets that the kernel refuses, to those whose
// filters select it, and to nobody else.
func TestTrace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.answerAllErrors(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	p := r.edge.serveWith(t, traceFile)
	all, web, nobody := p.trace(t, "--client", "198.51.100.0/24"), p.trace(t, "--route", "web"), p.trace(t, "--client", "203.0.113.0/24")

	conn := r.client.dial(t, "tcp", "192.0.2.7:4711")
	talk(t, conn, "hello")
	conn.Close()
	ofConn := []string{
		"kernel packet tcp 192.0.2.7:4711 web steer steer",
		"proxy accepted tcp 192.0.2.7:4711 web",
		"proxy dialling tcp 192.0.2.7:4711 web 10.0.0.5:4711",
		"proxy connected tcp 192.0.2.7:4711 web 10.0.0.5:4711",
		"proxy ended tcp 192.0.2.7:4711 web closed 10.0.0.5:4711",
	}
	for _, w := range []*tracer{all, web} {
		w.awaitOf(t, conn.LocalAddr(), ofConn...)
		end := w.await(t, "it ends", func(e traced) bool { return e.Event == "ended" })
		if end.ID == "" || end.ToOrigin == nil || *end.ToOrigin != 5 || *end.ToClient != 5 {
			t.Errorf("%+v", end)
		}
	}

	flow := r.client.dial(t, "udp", "192.0.2.7:4711")
	trade(t, flow, "ping")
	trade(t, flow, "ping")
	p.ask(t, "kill --route web")
	all.awaitOf(t, flow.LocalAddr(), "kernel packet udp 192.0.2.7:4711 web steer steer",
		"proxy accepted udp 192.0.2.7:4711 web 10.0.0.5:4711", "proxy ended udp 192.0.2.7:4711 web killed 10.0.0.5:4711")

	refused := func(port int, what ...string) {
		t.Helper()
		at := len(all.all())
		conn, err := r.client.tryDial("tcp", "", fmt.Sprintf("192.0.2.7:%d", port))
		if err == nil {
			conn.Close()
		}
		for _, words := range what {
			all.await(t, words, func(e traced) bool {
				return slices.ContainsFunc(all.all()[at:], func(e traced) bool { return strings.HasSuffix(e.words(), words) })
			})
		}
	}
	refused(4713, "shut deny refuse allow_deny")
	refused(9, "kernel packet tcp 192.0.2.7:9 refuse refuse")
	refused(4714, "dead steer steer", "proxy dial_failed tcp 192.0.2.7:4714 dead 10.0.0.5:9 refused", "proxy ended tcp 192.0.2.7:4714 dead connect_failed 10.0.0.5:9 refused")
	eventually(t, "a conn meets the limit", func() bool {
		if conn, err := r.client.tryDial("tcp", "", "192.0.2.7:4712"); err == nil {
			conn.Close()
		}
		return slices.ContainsFunc(all.all(), func(e traced) bool {
			return strings.HasSuffix(e.words(), "few limit refuse new_conns_per_second")
		})
	})
	for _, e := range web.all() {
		if e.By != "trace" && e.Route != "web" {
			t.Errorf("--route web has %+v", e)
		}
	}
	if lines := nobody.all(); len(lines) != 1 {
		t.Errorf("a filter that selects nothing has %+v", lines)
	}
	if got := p.ask(t, "trace --route nobody"); got.status != 1 || !strings.Contains(got.stderr, `no route "nobody" is in service`) {
		t.Errorf("of no route: %+v", got)
	}

	p.cmd.Process.Signal(syscall.SIGTERM)
	for _, w := range []*tracer{all, web, nobody} {
		select {
		case err := <-w.ended:
			lines := w.all()
			if err != nil || lines[len(lines)-1].Event != "end" {
				t.Errorf("a trace ends with %v, after %+v", err, lines[len(lines)-1])
			}
		case <-time.After(patience):
			t.Error("a trace goes on after its anyport")
		}
	}
}

// TestTraceGoesOn: through a reload, and through an upgrade with the process that serves then.
func TestTraceGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	p := r.edge.serveWith(t, traceFile)
	f := newFamily(t, p)
	w := p.trace(t, "--route", "web")
	shown := func(what string) {
		t.Helper()
		conn := r.client.dial(t, "tcp", "192.0.2.7:4711")
		talk(t, conn, "hello")
		conn.Close()
		client := conn.LocalAddr().String()
		for _, event := range []string{"packet", "ended"} {
			w.await(t, what+": "+event, func(e traced) bool { return e.Event == event && e.Client == client })
		}
	}
	shown("before")
	if got := p.ask(t, "reload"); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	shown("after a reload")
	f.upgrade(t)
	w.await(t, "it ends with the upgrade", func(e traced) bool { return e.Event == "end" && e.Reason == "upgrade" })
	eventually(t, "it goes on", func() bool {
		lines := w.all()
		return lines[len(lines)-1].Event == "begin"
	})
	shown("after an upgrade")
}

// TestTraceSlowReader: a reader that takes nothing loses events, and is told how many. Others lose none of
// theirs, and clients notice nothing.
func TestTraceSlowReader(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newRig(t)
	p := r.edge.serveWith(t, traceFile)
	slow := p.trace(t)
	other := p.trace(t, "--route", "web")
	slow.cmd.Process.Signal(syscall.SIGSTOP)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	dst := netip.MustParseAddrPort("192.0.2.7:9")
	for range 15_000 { // each from a port of its own
		conn, err := r.client.tryDial("udp", "", dst.String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte("knock"))
		conn.Close()
	}
	conn := r.client.dial(t, "tcp", "192.0.2.7:4711")
	talk(t, conn, "hello")
	other.await(t, "the other one shows a conn", func(e traced) bool {
		return e.Event == "connected" && e.Client == conn.LocalAddr().String()
	})
	slow.cmd.Process.Signal(syscall.SIGCONT)
	if e := slow.await(t, "it is told what it has lost", func(e traced) bool { return e.Event == "lost" }); e.Lost == 0 {
		t.Errorf("%+v", e)
	}
}
