package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// countedFile has a route for conns and flows, and one whose origin refuses.
const countedFile = `
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
ports    = [80]
origins  = ["10.0.0.5:4001", { address = "10.0.0.5:4002", backup = true }]
[route.closed]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [81]
origins  = ["10.0.0.5:4002"]
`

var sample = regexp.MustCompile(`(?m)^(anyport_\S+(?:_total|_bucket|_count|_sum)(?:\{.*\})?) (\S+)$`)

// scrape returns all counters of /metrics, and conns_total of status by route and origin.
func (p *proxy) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	_, text := p.host.fetch(t, http.MethodGet, "/metrics")
	all := map[string]float64{}
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(m[1], "anyport_process_") || strings.HasPrefix(m[1], "anyport_go_") { // of this process only
			continue
		}
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		all[m[1]] = n
	}
	for _, r := range p.status(t).Routes {
		all["status "+r.Name] = float64(r.ConnsTotal)
		for _, o := range r.Origins {
			all["status "+r.Name+" "+o.Address] = float64(o.ConnsTotal)
		}
	}
	return all
}

// fell names the counters that are smaller than before.
func fell(before, now map[string]float64) (names []string) {
	for name, n := range before {
		if now[name] < n {
			names = append(names, fmt.Sprintf("%s from %v to %v", name, n, now[name]))
		}
	}
	return names
}

// countedRig is a rig with an origin for countedFile.
func countedRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4001", echo)
	r.origin.answer(t, "10.0.0.5:4001", func(datagram []byte) []byte { return datagram })
	return r
}

// visit makes one conn of some bytes each way, one that is refused by its origin, and one flow.
func visit(t *testing.T, r *rig) {
	t.Helper()
	conn := r.client.dial(t, "tcp", "192.0.2.7:80")
	talk(t, conn, "hello")
	conn.Close()
	if refused, err := r.client.tryDial("tcp", "", "192.0.2.7:81"); err == nil { // else the reset was faster
		_, _ = io.Copy(io.Discard, refused)
		refused.Close()
	}
	flow := r.client.dial(t, "udp", "192.0.2.7:80")
	question(t, flow, "hello")
	flow.Close()
}

// TestCountersOverCrash: where the steering is pinned, no counter that was seen is smaller after kill -9,
// and what operators have ordered holds for the first conn. unload forgets both.
func TestCountersOverCrash(t *testing.T) {
	t.Parallel()
	r, bpffs := countedRig(t), t.TempDir()
	if err := r.edge.Mount("bpf", bpffs); err != nil {
		t.Fatal(err)
	}
	p := r.edge.serveWith(t, fmt.Sprintf("http = \"127.0.0.1:9765\"\n[steering]\npin = %q\n", filepath.Join(bpffs, "anyport"))+countedFile)
	for range 3 {
		visit(t, r)
	}
	if got := anyport(t, "origin", "drain", "web/10.0.0.5:4002", "--socket", p.socket); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	running := p.process
	for n := range 3 {
		before := p.scrape(t)
		if n == 0 && (before[`anyport_connections_total{protocol="tcp",route="closed",verdict="connect_failed"}`] != 3 || before["status web"] != 6) {
			t.Errorf("before the crash: %v", before)
		}
		running.signal(t, syscall.SIGKILL)
		running.wait(t)
		running = p.restart(t)
		if names := fell(before, p.scrape(t)); names != nil {
			t.Errorf("crash %d: smaller now: %s", n, strings.Join(names, "\n"))
		}
		running.expect(t, "restored an order of an operator", "web", "10.0.0.5:4002", "drain")
		if o := p.status(t).route(t, "web").Origins[1]; o.Forced != "drain" {
			t.Errorf("crash %d: the origin is %+v", n, o)
		}
		visit(t, r)
	}
	if got := p.status(t).route(t, "closed").ConnsTotal; got != 6 {
		t.Errorf("%d conns in all, want 6", got)
	}
	unload := func() {
		t.Helper()
		running.wait(t)
		if status := r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).wait(t); status != 0 {
			t.Errorf("unload ended with %d", status)
		}
	}
	running.signal(t, syscall.SIGKILL)
	unload()
	running = p.restart(t)
	if web := p.status(t).route(t, "web"); web.Origins[1].Forced != "" || web.ConnsTotal != 0 {
		t.Errorf("after unload: %+v", web)
	}
	running.signal(t, syscall.SIGTERM)
	unload()
}

// TestCountersGoOn scrapes all the time under load, over reloads and upgrades: no counter is ever smaller
// than before, and in the end each conn and byte of the clients is counted once.
func TestCountersGoOn(t *testing.T) {
	t.Parallel()
	r := countedRig(t)
	p := r.edge.serveWith(t, "http = \"127.0.0.1:9765\"\n"+countedFile)
	f := newFamily(t, p)
	long := r.client.dial(t, "tcp", "192.0.2.7:80") // moves with each upgrade
	talk(t, long, "hello")
	var asked atomic.Int64
	done, loads := make(chan struct{}), sync.WaitGroup{}
	for range 4 {
		loads.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if roundTrip(r.client) {
					asked.Add(1)
				}
			}
		})
	}
	last := p.scrape(t)
	steps := soak(9, 100)
	for n := range steps {
		if n%3 == 2 {
			f.upgrade(t)
		} else if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
			t.Fatalf("%+v", got)
		}
		for range 3 {
			now := p.scrape(t)
			if names := fell(last, now); names != nil {
				t.Errorf("step %d: smaller now: %s", n, strings.Join(names, "\n"))
			}
			last = now
		}
		talk(t, long, "hello")
	}
	close(done)
	loads.Wait()
	long.Close()
	want := float64(asked.Load()) + 1
	const ended = `anyport_connections_total{protocol="tcp",route="web",verdict="closed"}`
	eventually(t, "all conns are counted", func() bool { last = p.scrape(t); return last[ended] == want })
	if last["status web"] != want || last["anyport_origin_connect_seconds_count{route=\"web\"}"] != want {
		t.Errorf("%v conns in all, %v were accepted, want %v", last["status web"], last["anyport_origin_connect_seconds_count{route=\"web\"}"], want)
	}
	for _, direction := range []string{"to_client", "to_origin"} {
		if got := last[`anyport_bytes_total{direction="`+direction+`",protocol="tcp",route="web"}`]; got != 5*(want+float64(steps)) {
			t.Errorf("%v bytes %s, want %v", got, direction, 5*(want+float64(steps)))
		}
	}
}

// roundTrip makes one conn and closes it in order. It reports whether the conn was made.
func roundTrip(from *host) bool {
	conn, err := from.tryDial("tcp", "", "192.0.2.7:80")
	if err != nil {
		return false
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		return true
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
	return true
}
