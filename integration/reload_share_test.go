package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The two tables of a trial: a route with another origin, and one that only the new table has.
const (
	shareOld = `
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins  = ["10.0.0.5"]
`
	shareNew = `
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins  = ["10.0.0.6"]

[route.added]
protocol = ["tcp", "udp"]
prefixes = ["203.0.113.0/24"]
origins  = ["10.0.0.6"]
`
)

// shareRig is a rig whose client has many addresses.
func shareRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.client.local(t, "172.16.0.0/16")
	r.client.local(t, "2001:db8:ff::/48")
	r.client.sysctl(t, map[string]string{"net/ipv6/ip_nonlocal_bind": "1"}) // to dial from any of them
	r.edge.route(t, "172.16.0.0/16", clientV4)
	r.edge.route(t, "2001:db8:ff::/48", clientV6)
	r.origin.both(t, "10.0.0.5:80", named("old"))
	r.origin.both(t, "10.0.0.6:80", named("new"))
	for _, origin := range []string{"10.0.0.5", "10.0.0.6"} {
		r.origin.serve(t, origin+":4711", echo)
		r.origin.answer(t, origin+":4711", named(origin))
	}
	return r
}

// clientAt is one of 65,536 clients of a family.
func clientAt(family byte, n int) (source, dst string) {
	if family == '6' {
		return fmt.Sprintf("2001:db8:ff:%x::%x", n, n%7+1), "[" + dstV6 + "]:80"
	}
	return fmt.Sprintf("172.16.%d.%d", n>>8, n&0xff), dstV4 + ":80"
}

// side asks which origin serves a client: old or new, or how it was refused. Its thread is in the client's
// namespace.
func side(network, source, dst string) string {
	conn, err := dialHere(network, source, dst)
	if err != nil {
		return resetIsCut(err)
	}
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		defer tcp.SetLinger(0) // or the ports are used up
	}
	answer := make([]byte, 100)
	for range 10 { // a datagram may be lost at a change
		conn.SetDeadline(time.Now().Add(patience / 10))
		if _, err = io.WriteString(conn, "who?\n"); err == nil {
			var n int
			if n, err = conn.Read(answer); err == nil {
				name, _, _ := strings.Cut(string(answer[:n]), " ")
				return name
			}
		}
		if network[:3] == "tcp" || !errors.Is(err, os.ErrDeadlineExceeded) {
			return resetIsCut(err)
		}
	}
	return silent
}

// sides asks for n clients of a family, some at once, and counts the answers.
func (r *rig) sides(network string, n int, ask func(client int, side string)) map[string]int {
	counts, mu := map[string]int{}, sync.Mutex{}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() { // ends after its part of the clients
			r.client.do(func() {
				for client := worker; client < n; client += 8 {
					source, dst := clientAt(network[3], client)
					got := side(network, source, dst)
					mu.Lock()
					counts[got]++
					if ask != nil {
						ask(client, got)
					}
					mu.Unlock()
				}
			})
		})
	}
	all.Wait()
	return counts
}

// reloadIs has a reload succeed or fail with words.
func (p *proxy) reloadIs(t *testing.T, status int, words string, flags ...string) {
	t.Helper()
	got := anyport(t, append([]string{"reload", "--socket", p.socket}, flags...)...)
	if got.status != status || !strings.Contains(got.stdout+got.stderr, words) {
		t.Fatalf("reload %v: %+v, want %q", flags, got, words)
	}
}

// trialStatus is what status --json says of a trial, nil if there is none.
func (p *proxy) trialStatus(t *testing.T) *trialStatus {
	t.Helper()
	var s struct{ Trial *trialStatus }
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	return s.Trial
}

type trialStatus struct {
	Of       string
	Share    float64 `json:"share_percent"`
	Old, New trialSide
}

type trialSide struct {
	Generation, PID         int
	Conns                   int `json:"conns_total"`
	Active                  int `json:"conns_active"`
	Refused, Failed, Resets int
}

// loadAll has clients ask one question after the other until stop, which returns the answers.
func (r *rig) loadAll(workers int) (stop func() map[string]int) {
	counts, mu := map[string]int{}, sync.Mutex{}
	var over atomic.Bool
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() { // ended by stop
			r.client.do(func() {
				for client := 1000 * worker; !over.Load(); client++ {
					network := [...]string{"tcp4", "tcp6"}[client%2]
					source, dst := clientAt(network[3], 20_000+client%30_000)
					got := side(network, source, dst)
					mu.Lock()
					counts[got]++
					mu.Unlock()
				}
			})
		})
	}
	return func() map[string]int { over.Store(true); all.Wait(); return counts }
}

// TestReloadShare: a table serves a fifth of the clients, each always by the same side, over TCP and UDP. What began
// before stays where it was. Then it serves all, and the next one is taken back: no conn is refused or lost.
func TestReloadShare(t *testing.T) {
	t.Parallel()
	r := shareRig(t)
	p := r.edge.serveWith(t, shareOld)
	var conns, flows []net.Conn
	for n := range 20 {
		source, _ := clientAt('4', n)
		for network, all := range map[string]*[]net.Conn{"tcp": &conns, "udp": &flows} {
			conn, err := r.client.tryDial(network, source, dstV4+":4711")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			*all = append(*all, conn)
		}
	}
	goOn := func(when, flowOf string) {
		t.Helper()
		for i, conn := range conns {
			conn.SetDeadline(time.Now().Add(patience))
			talk(t, conn, when)
			flows[i].SetDeadline(time.Now().Add(patience))
			if got := trade(t, flows[i], when); got != flowOf+" "+when {
				t.Errorf("flow of client %d, %s: %q", i, when, got)
			}
		}
	}
	goOn("before", "10.0.0.5")

	calm := r.loadAll(2)
	p.write(t, shareNew)
	p.reloadIs(t, 0, "serves 20% of the clients", "--share", "20%")
	goOn("during", "10.0.0.5")
	const clients = 2000
	chosen := map[int]string{}
	first := r.sides("tcp4", clients, func(client int, side string) { chosen[client] = side })
	fair(t, first, clients, 0.2)
	fair(t, r.sides("tcp6", 500, nil), 500, 0.2)
	for _, network := range []string{"tcp4", "udp4"} {
		r.sides(network, 200, func(client int, side string) {
			if side != chosen[client] {
				t.Errorf("client %d over %s: %s, and before %s", client, network, side, chosen[client])
			}
		})
	}
	trial := p.trialStatus(t)
	if trial == nil || trial.Share != 20 || trial.Old.Generation != 1 || trial.New.Generation != 2 || trial.New.Conns < first["new"] || trial.Old.Conns < first["old"] || trial.New.Failed+trial.Old.Failed > 0 {
		t.Errorf("trial: %+v, want at least %v", trial, first)
	}
	if got := p.status(t); got.Config.Generation != 1 || len(got.Routes) != 2 {
		t.Errorf("during the trial: generation %d, routes %+v", got.Config.Generation, got.Routes)
	}
	r.checkAdded(t, chosen)

	p.reloadIs(t, 1, "first put it into service for all with: anyport reload --all")
	p.signal(t, syscall.SIGHUP)
	p.expect(t, "reload refused", "anyport reload --all")
	if got := anyport(t, "upgrade", "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "anyport reload --all") {
		t.Errorf("upgrade: %+v", got)
	}

	p.reloadIs(t, 0, "is in service: generation 2", "--all")
	if trial := p.trialStatus(t); trial != nil || p.status(t).Config.Generation != 2 {
		t.Errorf("after --all: %+v", trial)
	}
	goOn("after", "10.0.0.5")
	if got := r.sides("tcp4", 100, nil); got["new"] != 100 {
		t.Errorf("after --all: %v", got)
	}

	p.write(t, shareOld)
	p.reloadIs(t, 0, "serves 50% of the clients", "--share", "50%")
	fair(t, r.sides("tcp4", 200, nil), 200, 0.5)
	p.reloadIs(t, 0, "generation 2 serves all clients", "--back")
	p.reloadIs(t, 1, "nothing is on trial", "--back")
	if got := r.sides("udp6", 50, nil); got["new"] != 50 {
		t.Errorf("after --back: %v", got)
	}
	goOn("in the end", "10.0.0.5")
	p.reloadIs(t, 0, "is in service: generation 3")
	if got := calm(); got["old"] == 0 || got["new"] == 0 || len(got) != 2 {
		t.Errorf("the load has met %v", got)
	}
	goOn("after a reload", "10.0.0.5")
	if got := anyport(t, "status", "--drift", "--socket", p.socket); got.status != 0 {
		t.Errorf("drift: %+v", got)
	}
}

// TestReloadShareGrows: during a trial the share changes with the same file. Each client of a smaller share is in the
// larger one, and what has begun on either side goes on there. Another file is refused, and changes nothing.
func TestReloadShareGrows(t *testing.T) {
	t.Parallel()
	r := shareRig(t)
	p := r.edge.serveWith(t, shareOld)
	p.write(t, shareNew)
	p.reloadIs(t, 0, "serves 30% of the clients", "--share", "30%")
	var conns, flows []net.Conn
	var began []string // the origin of each
	for n := range 20 {
		source, _ := clientAt('4', n)
		flow, err := r.client.tryDial("udp", source, dstV4+":4711")
		if err != nil {
			t.Fatal(err)
		}
		defer flow.Close()
		conn, err := r.client.tryDial("tcp", source, dstV4+":4711")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		flow.SetDeadline(time.Now().Add(patience))
		origin, _, _ := strings.Cut(trade(t, flow, "begin"), " ")
		conns, flows, began = append(conns, conn), append(flows, flow), append(began, origin)
	}
	goOn := func(when string) {
		t.Helper()
		for i := range conns {
			conns[i].SetDeadline(time.Now().Add(patience))
			talk(t, conns[i], when)
			flows[i].SetDeadline(time.Now().Add(patience))
			if got := trade(t, flows[i], when); got != began[i]+" "+when {
				t.Errorf("flow %d, %s: %q, and it began at %s", i, when, got, began[i])
			}
		}
	}
	least := map[int]float64{} // the smallest share that has the client
	for _, share := range []float64{30, 70, 10} {
		p.reloadIs(t, 0, fmt.Sprintf("serves %v%% of the clients", share), "--share", fmt.Sprint(share, "%"))
		goOn(fmt.Sprint("at ", share))
		fair(t, r.sides("tcp4", 500, func(client int, side string) {
			smallest, known := least[client]
			switch {
			case side == "new" && (!known || share < smallest):
				least[client] = share
			case side == "old" && known && share > smallest:
				t.Errorf("client %d is in %v%% and not in %v%%", client, smallest, share)
			}
		}), 500, share/100)
		if trial := p.trialStatus(t); trial == nil || trial.Share != share || trial.Old.Generation != 1 || trial.New.Generation != 2 {
			t.Errorf("at %v%%: %+v", share, trial)
		}
	}
	p.expect(t, "share of the trial changed", "share_percent=10", "before=70")
	p.write(t, strings.Replace(shareNew, "10.0.0.6", "10.0.0.7", 1))
	p.reloadIs(t, 1, `different in route "web": to change the share, put that back`, "--share", "90%")
	p.reloadIs(t, 1, "anyport reload --all", "--share", "90%")
	if trial := p.trialStatus(t); trial == nil || trial.Share != 10 {
		t.Errorf("after a refusal: %+v", trial)
	}
	goOn("after a refusal")
	p.reloadIs(t, 0, "is in service: generation 2", "--all")
	goOn("after --all")
	if got := anyport(t, "status", "--drift", "--socket", p.socket); got.status != 0 {
		t.Errorf("drift: %+v", got)
	}
}

// TestReloadShareGuard: after --back the crash-loop guard watches the config that serves, and no longer the file that
// was taken back: that file must not become the config that has lasted.
func TestReloadShareGuard(t *testing.T) {
	t.Parallel()
	h := newHost(t, "edge")
	state := t.TempDir()
	p := h.launchAs(t, func(file string) *exec.Cmd { return exec.Command(program, "run", "-c", file, "--state", state) }, shareOld)
	p.expect(t, "msg=serving")
	old := p.guardStatus(t).Serving
	p.write(t, shareNew)
	p.reloadIs(t, 0, "serves 5% of the clients", "--share", "5%")
	tried := p.guardStatus(t).Serving
	p.reloadIs(t, 0, "serves 6% of the clients", "--share", "6%")
	if got := p.guardStatus(t).Serving; tried == old || got != tried {
		t.Errorf("during the trial the guard watches %s and %s, before it %s", tried, got, old)
	}
	p.reloadIs(t, 0, "serves all clients", "--back")
	if got := p.guardStatus(t).Serving; got != old {
		t.Errorf("after --back the guard watches %s, and %s serves", got, old)
	}
}

// fair wants the new side to have about that part of n clients: within six standard deviations.
func fair(t *testing.T, got map[string]int, n int, part float64) {
	t.Helper()
	mean, deviation := float64(n)*part, math.Sqrt(float64(n)*part*(1-part))
	if off := math.Abs(float64(got["new"]) - mean); off > 6*deviation || got["new"]+got["old"] != n {
		t.Errorf("%v of %d clients, want %.0f new ones, give or take %.0f", got, n, mean, 6*deviation)
	}
	t.Logf("%d of %d clients are on the new side (%.1f%%)", got["new"], n, 100*float64(got["new"])/float64(n))
}

// checkAdded: a prefix that only the new table has is served for its clients, and refuses the others.
func (r *rig) checkAdded(t *testing.T, chosen map[int]string) {
	t.Helper()
	r.client.route(t, "203.0.113.0/24", edgeV4)
	want := map[string]string{"old": refused, "new": "new"}
	r.client.do(func() {
		for client := range 30 {
			source, _ := clientAt('4', client)
			if got := side("tcp4", source, "203.0.113.9:80"); got != want[chosen[client]] {
				t.Errorf("the prefix that only the new table has, client %d of the %s side: %s", client, chosen[client], got)
			}
		}
	})
}

// TestReloadShareKilled: after kill -9 during a trial, another process serves the file for all clients, and nothing
// of the trial is left.
func TestReloadShareKilled(t *testing.T) {
	t.Parallel()
	r := shareRig(t)
	before := r.edge.belongings(t)
	p := r.edge.serveWith(t, shareOld)
	p.write(t, shareNew)
	p.reloadIs(t, 0, "serves 50% of the clients", "--share", "50%")
	fair(t, r.sides("tcp4", 200, nil), 200, 0.5)
	p.signal(t, syscall.SIGKILL)
	p.waitFor(t, patience)
	p.process = p.restart(t)
	p.expect(t, "msg=serving")
	if got := r.sides("tcp4", 100, nil); got["new"] != 100 {
		t.Errorf("after the restart: %v", got)
	}
	if p.trialStatus(t) != nil {
		t.Error("the trial goes on")
	}
	if got := anyport(t, "status", "--drift", "--socket", p.socket); got.status != 0 {
		t.Errorf("drift: %+v", got)
	}
	p.leaves(t, before)
}

// TestReloadShareRefused: what two tables cannot have at the same time is refused with the key, and changes nothing.
func TestReloadShareRefused(t *testing.T) {
	t.Parallel()
	r := shareRig(t)
	p := r.edge.serveWith(t, shareOld)
	for words, text := range map[string]string{
		"active":                      shareOld + "active = [\"Mon..Sun 00:00..24:00\"]\n",
		"forwarded by one of the two": strings.Replace(shareOld, `origins  = ["10.0.0.5"]`, `action = "pass"`, 1),
		"did you mean":                strings.Replace(shareOld, "origins", "origns", 1),
		"accept_proxy":                shareOld + "accept_proxy = [\"172.16.0.0/16\"]\n",
	} {
		p.write(t, text)
		p.reloadIs(t, 1, words, "--share", "5%")
	}
	if got := r.sides("tcp4", 50, nil); got["old"] != 50 || p.trialStatus(t) != nil {
		t.Errorf("after the refusals: %v", got)
	}
	p.write(t, shareNew)
	p.reloadIs(t, 0, "is in service: generation 2")
}
