package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// TestEvents: a page gets events, several pages get the same ones, nobody is asked after the last page has left, and
// a page that does not read holds up no other.
func TestEvents(t *testing.T) {
	var asked atomic.Int64
	e := newEvents(func() admin.Status { asked.Add(1); return admin.Status{PID: 7} })
	idle, _ := e.open() // reads nothing
	page, _ := e.open()
	for range 2 {
		if text := <-page; !strings.Contains(string(text), `"pid":7`) {
			t.Errorf("the event is %s", text)
		}
	}
	if len(idle) != 1 {
		t.Errorf("%d events wait for a page that does not read", len(idle))
	}
	e.close(page)
	e.close(idle)
	stopped := func() bool { e.mu.Lock(); defer e.mu.Unlock(); return !e.running }
	for deadline := time.Now().Add(time.Minute); !stopped(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("events are made for nobody")
		}
	}
	if n := asked.Load(); n > 4 {
		t.Errorf("the status was asked for %d times, for two pages and two events", n)
	}
	again, _ := e.open()
	defer e.close(again)
	<-again
}

// TestEventsEnd: the stream of an open page does not hold up the end of the server.
func TestEventsEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := New(&fakeService{}, quiet(), nil).ServeWeb(listener, make(chan error, 1))
	answer, err := http.Get("http://" + listener.Addr().String() + "/api/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("the type is %q", kind)
	}
	lines := bufio.NewScanner(answer.Body)
	if !lines.Scan() {
		t.Fatal("no event")
	}
	var s admin.Snapshot
	if err := json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), &s); err != nil || s.PID != 7 || s.At == 0 {
		t.Errorf("the event is %s: %v", lines.Text(), err)
	}
	begun := time.Now()
	stop()
	if took := time.Since(begun); took >= stopTimeout {
		t.Errorf("the server ended after %v: it has waited for the page", took)
	}
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
}

// TestPause: with very many routes, events are rarer.
func TestPause(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: time.Second, 20 * time.Millisecond: time.Second, 100 * time.Millisecond: 5 * time.Second, time.Minute: 10 * time.Second,
	} {
		if got := pause(took); got != want {
			t.Errorf("after %v: %v, want %v", took, got, want)
		}
	}
}

// TestSnapshot: its lists are bounded, those with origins down come first, and the sums are of all routes.
func TestSnapshot(t *testing.T) {
	s := admin.Status{Unrouted: admin.Counts{Ended: map[string]map[string]uint64{"tcp": {"no_route": 3}}}}
	s.Steering.Unmatched = map[string]uint64{"refuse": 5}
	for i := range 1000 {
		r := admin.RouteStatus{Name: fmt.Sprint(i), ConnsActive: 1, ConnsTotal: 2, BytesToOrigin: 3, BytesToClient: 4, Prefixes: make([]string, 20),
			Verdicts: map[string]uint64{"steer": 9, "refuse": 1}, Origins: []admin.OriginStatus{{Up: i != 777}}}
		r.Ended = map[string]map[string]uint64{"tcp": {"closed": 5, "connect_failed": 2}}
		r.Datagrams = map[string]map[string]uint64{"to_origin": {"forwarded": 5, "overflowed": 1}}
		s.Routes = append(s.Routes, r)
	}
	s.Routes[5].Origins = make([]admin.OriginStatus, 5000)
	got := snapshotOf(s, time.UnixMilli(42))
	if got.At != 42 || got.RoutesTotal != 1000 || len(got.Routes) != routesShown || got.Routes[0].Name != "5" || got.Routes[1].Name != "777" {
		t.Errorf("at %d: %d of %d routes, first %s and %s", got.At, len(got.Routes), got.RoutesTotal, got.Routes[0].Name, got.Routes[1].Name)
	}
	if n := len(got.Routes[0].Origins); n != originsShown {
		t.Errorf("%d origins", n)
	}
	if p := got.Routes[0].Prefixes; len(p) != textsShown+1 || p[textsShown] != "and 12 more" {
		t.Errorf("prefixes %q", p)
	}
	if want := (admin.Totals{ConnsActive: 1000, ConnsTotal: 2000, BytesToOrigin: 3000, BytesToClient: 4000}); got.Totals != want {
		t.Errorf("totals %+v", got.Totals)
	}
	want := []admin.Drop{{Where: "conns", Reason: "connect_failed", Count: 2000}, {Where: "kernel", Reason: "refuse", Count: 1005},
		{Where: "datagrams", Reason: "overflowed", Count: 1000}, {Where: "conns", Reason: "no_route", Count: 3}}
	if fmt.Sprint(got.Drops) != fmt.Sprint(want) {
		t.Errorf("drops %v, want %v", got.Drops, want)
	}
}
