package accesslog

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
	"anyport/proxy/route"
)

// refused is a refused flow of the nth client.
func refused(verdict route.Verdict, n int) route.Record {
	r := route.Record{Begun: record.Begun, Protocol: config.UDP, Route: "web", Dst: record.Dst, Verdict: verdict}
	r.Client = netip.MustParseAddrPort(fmt.Sprintf("[2001:db8:0:%x::%x]:53", n%3, n+1))
	return r
}

// TestSums: what was refused alike is one line, in a form that is documented.
func TestSums(t *testing.T) {
	for format, want := range map[string]string{
		"text": "time=2026-05-04T03:02:02.500Z event=refused protocol=tcp route=web client=198.51.100.9 dst=192.0.2.7:4711 verdict=max_conns state=PR ended_by=policy phase=admission count=1 clients=1\n" +
			"time=2026-05-04T03:02:01.000Z event=refused protocol=udp route=web client=2001:db8::/64 dst=192.0.2.7:4711 verdict=denied state=PR ended_by=policy phase=admission count=1000 clients=3\n",
		"json": `{"time":"2026-05-04T03:02:02.500Z","event":"refused","protocol":"tcp","route":"web","client":"198.51.100.9","dst":"192.0.2.7:4711","verdict":"max_conns","state":"PR","ended_by":"policy","phase":"admission","count":1,"clients":1}` + "\n" +
			`{"time":"2026-05-04T03:02:01.000Z","event":"refused","protocol":"udp","route":"web","client":"2001:db8::/64","dst":"192.0.2.7:4711","verdict":"denied","state":"PR","ended_by":"policy","phase":"admission","count":1000,"clients":3}` + "\n",
	} {
		a, path := open(t, format, slog.New(slog.DiscardHandler))
		for n := range 1000 {
			a.Record(refused(route.Denied, n))
		}
		over := record
		over.Verdict = route.OverMaxConns
		a.Record(over)
		closeLog(t, a)
		if diff := cmp.Diff(want, read(t, path)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// TestFlood has several loops refuse more than the writer's queue holds, while the
// writer is at work: there is a handful of lines, and nothing is lost.
func TestFlood(t *testing.T) {
	const loops, each = 4, 5 * queueMost
	a, path := open(t, "json", slog.New(slog.DiscardHandler))
	verdicts := []route.Verdict{route.Denied, route.OverMaxFlows, route.Evicted}
	var all sync.WaitGroup
	for range loops {
		all.Go(func() {
			for n := range each {
				a.Record(refused(verdicts[n%len(verdicts)], n))
			}
		})
	}
	all.Wait()
	closeLog(t, a)
	text := read(t, path)
	counted, lines := 0, strings.Count(text, "\n")
	for line := range strings.Lines(text) {
		var sum struct{ Count int }
		if err := json.Unmarshal([]byte(line), &sum); err != nil {
			t.Fatal(err)
		}
		counted += sum.Count
	}
	if counted != loops*each || lines > loops*each/1000 {
		t.Errorf("%d lines count %d, want few that count %d", lines, counted, loops*each)
	}
}

// TestRefused: what was served has a line of its own.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*route.Record)
		want   bool
	}{
		{func(*route.Record) {}, true},
		{func(r *route.Record) { r.Verdict = route.Closed }, false},
		{func(r *route.Record) { r.Verdict = route.IdleTimedOut }, false},
		{func(r *route.Record) { r.Verdict = route.Evicted }, true},
		{func(r *route.Record) { r.Verdict, r.Sent[route.ToClient].Bytes = route.Evicted, 1 }, false}, // it had an answer
		{func(r *route.Record) { r.Verdict, r.Protocol = route.Evicted, config.TCP }, false},
		{func(r *route.Record) { r.Verdict = route.ConnectFailed }, true},
		{func(r *route.Record) { r.Verdict, r.Protocol = route.ConnectFailed, config.TCP }, false}, // the client has waited for it
	} {
		r := refused(route.Denied, 0)
		c.change(&r)
		if got := r.Refused(); got != c.want {
			t.Errorf("%v %v with %d bytes: refused %v, want %v", r.Protocol, r.Verdict, r.Sent[route.ToClient].Bytes, got, c.want)
		}
	}
}
