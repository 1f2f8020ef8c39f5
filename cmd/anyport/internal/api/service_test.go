package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/proxy/route"
)

// fakeService answers with what it holds, and records what it was asked.
type fakeService struct {
	conns    []route.Conn
	left     []admin.Left
	hosts    []string
	writes   bool
	notReady string
	err      error         // of every method that can fail
	hold     chan struct{} // orders wait for it, or for the end of their context; nil: they do not
	asked    chan string   // one line for each order
	question admin.Question
	files    map[string]int
}

func (f *fakeService) Status() admin.Status {
	return admin.Status{Version: "v1", PID: 7, Steering: admin.SteeringStatus{ForeignPrograms: []uint32{}, Missing: []string{}, Unmatched: map[string]uint64{}}, Routes: []admin.RouteStatus{}}
}

func (f *fakeService) About() admin.About { return admin.About{Version: "v1", PID: 7} }

func (f *fakeService) Admin() config.Admin {
	return config.Admin{HTTPHosts: f.hosts, HTTPWrites: f.writes}
}

func (f *fakeService) Live() admin.Health {
	return admin.NewHealth(admin.Condition{Name: "event_loops"})
}

func (f *fakeService) Ready() admin.Health {
	return admin.NewHealth(admin.Condition{Name: "steering"}, admin.Condition{Name: "draining", Failed: f.notReady})
}

func (f *fakeService) Drift() (admin.Drift, error) {
	return admin.Drift{Lines: []string{"one"}}, f.err
}

func (f *fakeService) Sysdump() (admin.Sysdump, error) {
	return admin.Sysdump{Status: f.Status(), Log: []string{"one"}}, f.err
}

func (f *fakeService) Explain(q admin.Question) (admin.Explained, error) {
	f.question = q
	return admin.Explained{Text: "verdict: steer\n", Kernel: []string{"steer"}, File: "the same", PID: 7}, f.err
}

func (f *fakeService) Conns(name string) (iter.Seq[route.Conn], error) {
	if name != "" && name != "web" {
		return nil, errors.New("no route \"" + name + "\" is in service")
	}
	return slices.Values(f.conns), f.err
}

func (f *fakeService) Left() []admin.Left { return f.left }

func (f *fakeService) PortMap(protocol config.Protocol, addr netip.Addr) (admin.PortMap, error) {
	return admin.PortMap{Prefix: addr.String(), Protocol: protocol.String()}, f.err
}

func (f *fakeService) Scans(limit int) (admin.Scans, error) {
	list := admin.Scans{Packets: uint64(limit), Clients: []admin.Scanner{}, Networks: []admin.Scanner{}, Ports: []admin.ScannedPort{}}
	list.Clients = append(list.Clients, admin.Scanner{Prefix: "198.51.100.7/32", Packets: 2, Ports: admin.PortSum{Count: 1, Exact: true, Listed: []string{"22/tcp"}}})
	return list, f.err
}

func (f *fakeService) Trace(filter admin.TraceFilter) (Tracer, error) {
	return &fakeTracer{}, f.err
}

// fakeTracer has one event, and then the end.
type fakeTracer struct{ begun bool }

func (f *fakeTracer) Next(context.Context) []admin.TraceEvent {
	if f.begun {
		return []admin.TraceEvent{{By: admin.ByTrace, Event: admin.TraceEnd, Reason: "stopped"}}
	}
	f.begun = true
	return []admin.TraceEvent{{By: admin.ByKernel, Event: admin.TracePacket, Verdict: "steer", Fate: "steer"}}
}

func (f *fakeTracer) Ended() <-chan struct{} { return nil }
func (f *fakeTracer) Close()                 {}

func (f *fakeService) Kill(ctx context.Context, filter admin.FlowFilter, match func(*route.Conn) bool) (ended int, err error) {
	for i := range f.conns {
		if match(&f.conns[i]) {
			ended++
		}
	}
	return ended, f.order(ctx, "kill", filter.String(), false, false)
}

func (f *fakeService) Drain(ctx context.Context, o admin.DrainOrder) (admin.Drained, error) {
	what := "drain"
	if o.Force {
		what += " --force"
	}
	return admin.Drained{Draining: !o.Undo, Conns: map[string]int64{"web": 3}}, f.order(ctx, what, o.Route, o.Undo, o.Wait)
}

func (f *fakeService) Origin(ctx context.Context, o admin.OriginOrder) (admin.OriginStatus, error) {
	return admin.OriginStatus{Address: o.Address, Forced: o.State, Weight: o.Weight}, f.order(ctx, "origin "+o.Address, o.Route, o.State == "drain", o.Weight == 3)
}

func (f *fakeService) Share(ctx context.Context, percent float64) (admin.Reloaded, error) {
	return admin.Reloaded{Path: "a.toml", Generation: 3, Keys: []config.KeyDiff{}, Routes: []admin.RouteChange{}, Trial: admin.TrialBegun, SharePercent: percent}, f.order(ctx, "share", fmt.Sprint(percent), false, false)
}

func (f *fakeService) EndShare(ctx context.Context, all bool) (admin.Reloaded, error) {
	return admin.Reloaded{Path: "a.toml", Generation: 3, Keys: []config.KeyDiff{}, Routes: []admin.RouteChange{}, Trial: admin.TrialAll}, f.order(ctx, "end_share", "", all, false)
}

func (f *fakeService) Reload(ctx context.Context, dryRun bool, _ map[string]int) (admin.Reloaded, error) {
	return admin.Reloaded{DryRun: dryRun, Path: "a.toml", Generation: 2, Keys: []config.KeyDiff{}, Routes: []admin.RouteChange{}}, f.order(ctx, "reload", "", dryRun, false)
}

func (f *fakeService) Confirm(ctx context.Context) (admin.Confirmed, error) {
	return admin.Confirmed{Path: "a.toml", SecondsLeft: 42}, f.order(ctx, "confirm", "", false, false)
}

func (f *fakeService) Upgrade(ctx context.Context, o UpgradeOrder) (admin.Upgraded, error) {
	f.files = o.Files
	return admin.Upgraded{PID: 8, Binary: o.Binary, Flows: 1, Conns: 2, Left: 3}, f.order(ctx, "upgrade", o.Binary, o.Root, len(o.Files) > 0)
}

func (f *fakeService) order(ctx context.Context, what, name string, a, b bool) error {
	if f.asked != nil {
		mark := map[bool]string{true: "1", false: "0"}
		f.asked <- strings.TrimSpace(what + " " + name + " " + mark[a] + mark[b])
	}
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return f.err
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// serveFake serves a service on an admin socket, until the test ends.
func serveFake(t *testing.T, f *fakeService) admin.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	t.Cleanup(New(f, quiet(), log.New(io.Discard, "", 0)).ServeSocket(listener, NoGroup, failed))
	t.Cleanup(func() {
		select {
		case err := <-failed:
			t.Errorf("the server failed: %v", err)
		default:
		}
	})
	return admin.Client{Socket: path}
}

// requireRoot skips a test that only root can run; where root is required, it fails.
func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("REQUIRE_ROOT") == "1" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

// asRoot answers a request of root's.
func asRoot(f *fakeService, r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	New(f, quiet(), nil).socketHandler().ServeHTTP(answer, asPeer(peer{}, r))
	return answer
}

// asPeer is a request that came on a conn of p.
func asPeer(p peer, r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), connKey{}, &fileConn{peer: p}))
}

// someConns are three of a route, the second of which has carried most.
func someConns() []route.Conn {
	conn := func(protocol config.Protocol, client string, origin string, toOrigin, toClient uint64) route.Conn {
		c := route.Conn{
			ID: route.ID(toClient), Protocol: protocol, Route: "web", Client: netip.MustParseAddrPort(client), Dst: netip.MustParseAddrPort("192.0.2.1:80"),
			Age: 1500 * time.Millisecond, Idle: 20*time.Millisecond + 400*time.Microsecond, ToOrigin: toOrigin, ToClient: toClient,
		}
		if origin != "" {
			c.Origin = netip.MustParseAddrPort(origin)
		}
		return c
	}
	return []route.Conn{
		conn(config.TCP, "198.51.100.1:1", "10.0.0.5:80", 10, 20),
		conn(config.UDP, "198.51.100.2:2", "10.0.0.5:80", 1000, 5000),
		conn(config.TCP, "[2001:db8::9]:3", "", 0, 31),
	}
}
