package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// figuresFile has a route whose first origin goes down and comes back, one with a queue, and one whose first
// origin refuses.
const figuresFile = `
http = "127.0.0.1:9765"
[log]
access = %q
[health.quick]
interval = "200ms"
rise = 1
fall = 2
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [80]
origins  = ["10.0.0.5:4001", "10.0.0.5:4002"]
balance  = "first"
health   = "quick"
slow_start = "1h"
[route.few]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [81]
origins  = [{ address = "10.0.0.5:4003", max_conns = 1 }]
queue    = 9
queue_timeout = "1h"
[route.again]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [82]
origins  = ["10.0.0.5:4009", "10.0.0.5:4003"]
balance  = "first"
`

// figures are the peaks, averages and moments of a status.
type figures struct {
	NewPeak   float64 `json:"new_per_second_peak"`
	LoopLoads []struct {
		Name string
		Idle float64
		Busy float64 `json:"busy_seconds"`
	} `json:"event_loop_loads"`
	Routes []struct {
		Name, Balance  string
		NewPeak        float64    `json:"new_per_second_peak"`
		LastNew        time.Time  `json:"last_new_at"`
		QueuePeak      int        `json:"queue_peak"`
		WaitSeconds    *float64   `json:"average_queue_seconds"`
		ConnectSeconds *float64   `json:"average_connect_seconds"`
		SessionSeconds *float64   `json:"average_session_seconds"`
		Retries        uint64     `json:"retries"`
		Elsewhere      uint64     `json:"retries_elsewhere"`
		DownSeconds    float64    `json:"down_seconds"`
		TimesDown      uint64     `json:"times_down"`
		DownChanged    *time.Time `json:"down_changed_at"`
		Origins        []struct {
			Up             bool
			Since          *time.Time
			ChecksFailed   uint64    `json:"checks_failed"`
			NewPeak        float64   `json:"new_per_second_peak"`
			LastNew        time.Time `json:"last_new_at"`
			ConnectSeconds *float64  `json:"average_connect_seconds"`
			SessionSeconds *float64  `json:"average_session_seconds"`
			Retries, Left  uint64
			DownSeconds    float64  `json:"down_seconds"`
			TimesDown      uint64   `json:"times_down"`
			SlowStart      *float64 `json:"slow_start_share"`
		}
	}
}

func (p *proxy) figures(t *testing.T) (f figures) {
	t.Helper()
	if err := json.Unmarshal(p.statusJSON(t), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFigures does what each column of the tables counts, and compares: conns one after the other and waiting
// for each other, dials that fail, and an origin that goes down and comes back.
func TestFigures(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	log := filepath.Join(t.TempDir(), "access.log")
	stop := r.origin.serveUntil(t, "10.0.0.5:4001")
	r.origin.serve(t, "10.0.0.5:4002", echo)
	r.origin.serve(t, "10.0.0.5:4003", echo)
	began := time.Now()
	p := r.edge.serveWith(t, fmt.Sprintf(figuresFile, log))
	f := newFamily(t, p)
	const web, few, again = 0, 1, 2
	p.awaitChecked(t, web, 0)

	// Ten conns that last a while.
	var conns []net.Conn
	for range 10 {
		conn := r.client.dial(t, "tcp", "192.0.2.7:80")
		talk(t, conn, "hello")
		conns = append(conns, conn)
	}
	time.Sleep(300 * time.Millisecond)
	for _, conn := range conns {
		conn.Close()
	}
	ended := time.Now()
	eventually(t, "ten conns have ended", func() bool { return p.scrape(t)[`anyport_sessions_total{protocol="tcp",route="web"}`] == 10 })
	eventually(t, "the peak shows", func() bool { return p.figures(t).Routes[web].NewPeak > 0 })
	now, metrics := p.figures(t).Routes[web], p.scrape(t)
	if a := now.Origins[0]; now.NewPeak > 10 || a.NewPeak > 10 || a.NewPeak <= 0 {
		t.Errorf("at most %v conns a second to the route and %v to its origin, want 10 at most", now.NewPeak, a.NewPeak)
	}
	for what, last := range map[string]time.Time{"the route": now.LastNew, "the origin": now.Origins[0].LastNew} {
		if last.Before(began) || last.After(time.Now()) {
			t.Errorf("the last conn to %s came at %v, want from %v on", what, last, began)
		}
	}
	if !now.Origins[1].LastNew.IsZero() {
		t.Errorf("the second origin had a conn at %v", now.Origins[1].LastNew)
	}
	logged := loggedTimes(t, log, "web", 10)
	for name, got := range map[string]*float64{"route": now.SessionSeconds, "origin": now.Origins[0].SessionSeconds} {
		if got == nil || *got < 0.3 || *got > ended.Sub(began).Seconds() || math.Abs(*got-logged) > 0.001 {
			t.Errorf("%s: a session lasts %v on average, and by the access log %v", name, show(got), logged)
		}
	}
	for name, want := range map[string][2]float64{
		"connect":        {10 * *now.ConnectSeconds, metrics[`anyport_origin_connect_seconds_sum{route="web"}`]},
		"origin accepts": {10 * *now.Origins[0].ConnectSeconds, metrics[`anyport_origin_accept_seconds_total{origin="10.0.0.5:4001",route="web"}`]},
		"sessions":       {10 * *now.SessionSeconds, metrics[`anyport_session_seconds_total{protocol="tcp",route="web"}`]},
	} {
		if want[0] <= 0 || math.Abs(want[0]-want[1]) > 1e-6 {
			t.Errorf("%s: ten times the average is %v, and the metric has %v", name, want[0], want[1])
		}
	}

	// Three conns that wait for one.
	held := r.client.dial(t, "tcp", "192.0.2.7:81")
	talk(t, held, "hello")
	conns = nil
	for n := range 3 {
		conn := r.client.dial(t, "tcp", "192.0.2.7:81")
		if _, err := io.WriteString(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		eventually(t, "it waits", func() bool { w := p.status(t).Routes[few].QueueWaiting; return w != nil && *w == n+1 })
	}
	waiting := time.Now()
	time.Sleep(300 * time.Millisecond)
	least := time.Since(waiting).Seconds()
	held.Close()
	for _, conn := range conns {
		if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	eventually(t, "three waits count", func() bool { return p.scrape(t)[`anyport_queue_wait_seconds_count{route="few"}`] == 3 })
	now, metrics = p.figures(t).Routes[few], p.scrape(t)
	if sum := metrics[`anyport_queue_wait_seconds_sum{route="few"}`]; now.QueuePeak != 3 || now.WaitSeconds == nil || *now.WaitSeconds < least || math.Abs(3**now.WaitSeconds-sum) > 1e-6 {
		t.Errorf("peak of the queue %d, average wait %s of at least %v, sum %v", now.QueuePeak, show(now.WaitSeconds), least, sum)
	}

	// Two conns whose first dial is refused.
	for range 2 {
		conn := r.client.dial(t, "tcp", "192.0.2.7:82")
		talk(t, conn, "hello")
		conn.Close()
	}
	now = p.figures(t).Routes[again]
	if closed, open := now.Origins[0], now.Origins[1]; now.Retries != 2 || now.Elsewhere != 2 || closed.Left != 2 || closed.Retries != 0 || open.Retries != 2 || open.Left != 0 {
		t.Errorf("two conns went on from a closed origin: %+v", now)
	}

	// An origin that is down for a while, and a route.
	closing := time.Now()
	stop()
	p.awaitStates(t, "check_failed", 0)
	down := time.Now()
	p.must(t, "origin down few/10.0.0.5:4003")
	eventually(t, "a route without origins is down", func() bool { return p.figures(t).Routes[few].TimesDown == 1 })
	time.Sleep(time.Second)
	p.must(t, "origin ready few/10.0.0.5:4003")
	opening := time.Now()
	r.origin.serveUntil(t, "10.0.0.5:4001")
	p.awaitStates(t, "up", 0)
	up := time.Now()
	routes := p.figures(t).Routes
	a := routes[web].Origins[0]
	if shortest, longest := opening.Sub(down).Seconds(), up.Sub(closing).Seconds(); a.DownSeconds < shortest || a.DownSeconds > longest {
		t.Errorf("the origin was down for %v s, want %v to %v", a.DownSeconds, shortest, longest)
	}
	if a.TimesDown != 1 || a.ChecksFailed < 2 || a.Since == nil || a.Since.Before(down) || a.SlowStart == nil || *a.SlowStart <= 0 || *a.SlowStart > 0.5 {
		t.Errorf("the origin that came back is %+v, its share %s", a, show(a.SlowStart))
	}
	if b := routes[web]; b.DownSeconds != 0 || b.TimesDown != 0 || b.DownChanged != nil || b.Balance != "first" || b.Origins[1].DownSeconds != 0 || b.Origins[1].ChecksFailed != 0 {
		t.Errorf("the route with an origin that stayed up is %+v", b)
	}
	eventually(t, "the other route is up", func() bool {
		c := p.figures(t).Routes[few]
		return c.DownChanged != nil && c.DownChanged.After(down) && c.DownSeconds > 0.5 && c.DownSeconds < time.Since(closing).Seconds() && c.Origins[0].Up
	})

	// The loops.
	all := p.figures(t)
	if all.NewPeak <= 0 || all.NewPeak > 20 || len(all.LoopLoads) < 2 {
		t.Errorf("at most %v new conns a second on %d loops", all.NewPeak, len(all.LoopLoads))
	}
	busy := 0.0
	for _, l := range all.LoopLoads {
		if busy += l.Busy; l.Idle < 0 || l.Idle > 1 || l.Busy > time.Since(began).Seconds() {
			t.Errorf("a loop is %+v", l)
		}
	}
	if busy <= 0 {
		t.Error("no loop has worked")
	}

	// What people see, and what the next generation and the next process go on with.
	for line, heads := range map[string][]string{
		"routes --wide":  {"TIMES DOWN", "DOWN", "LAST", "PEAK NEW/S", "RETRIES", "ELSEWHERE", "PEAK QUEUE", "AVG WAIT", "AVG CONNECT", "AVG SESSION", "BALANCE"},
		"origins --wide": {"TIMES DOWN", "DOWN", "SHARE", "LAST", "PEAK NEW/S", "RETRIES", "LEFT", "CHECKS FAILED", "AVG CONNECT", "AVG SESSION"},
	} {
		text, _, _ := strings.Cut(p.must(t, line), "\n")
		for _, head := range heads {
			if !strings.Contains(text, head) {
				t.Errorf("anyport %s has no column %s: %s", line, head, text)
			}
		}
	}
	metrics = p.scrape(t)
	p.must(t, "reload")
	if after := p.figures(t).Routes; after[few].QueuePeak != 3 || after[few].TimesDown != 1 || after[web].NewPeak < routes[web].NewPeak || after[web].Origins[0].TimesDown != 1 {
		t.Errorf("after a reload: %+v", after)
	}
	f.upgrade(t)
	if names := fell(metrics, p.scrape(t)); names != nil {
		t.Errorf("after an upgrade these are smaller: %s", strings.Join(names, "\n"))
	}
	if after := p.figures(t).Routes; after[again].Elsewhere != 2 || after[web].Origins[0].TimesDown != 1 || after[few].TimesDown != 1 || after[few].QueuePeak != 0 || after[web].SessionSeconds != nil {
		t.Errorf("after an upgrade: %+v", after)
	}
}

// serveUntil echoes at an address until stop.
func (h *host) serveUntil(t *testing.T, address string) (stop func()) {
	t.Helper()
	listener := h.listen(t, address)
	go func() { // ends with stop
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the conn
				defer conn.Close()
				echo(conn)
			}()
		}
	}()
	return func() { listener.Close() }
}

// must runs a command that has to succeed, and returns what it prints.
func (p *proxy) must(t *testing.T, line string) string {
	t.Helper()
	got := p.ask(t, line)
	if got.status != 0 {
		t.Fatalf("anyport %s: %+v", line, got)
	}
	return got.stdout
}

// loggedTimes is how long the conns of a route lasted on average by the access log, which has n of them.
func loggedTimes(t *testing.T, log, route string, n int) (average float64) {
	t.Helper()
	sum, lines := 0.0, 0
	eventually(t, "the access log has the conns", func() bool {
		text, err := os.ReadFile(log)
		if err != nil {
			return false
		}
		sum, lines = 0, 0
		for _, m := range regexp.MustCompile(`(?m)^.* route=`+route+` .* seconds=(\S+) .*$`).FindAllSubmatch(text, -1) {
			seconds, err := strconv.ParseFloat(string(m[1]), 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += seconds
			lines++
		}
		return lines == n
	})
	return sum / float64(n)
}

// show writes a number that may be missing.
func show(n *float64) string {
	if n == nil {
		return "none"
	}
	return fmt.Sprint(*n)
}
