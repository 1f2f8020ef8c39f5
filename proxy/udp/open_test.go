package udp

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// cannotBeDialled is an address that connect(2) refuses without SO_BROADCAST.
var cannotBeDialled = netip.MustParseAddrPort("255.255.255.255:9")

// TestSocketVerdict: a socket that could not be opened says what there was too little of.
func TestSocketVerdict(t *testing.T) {
	for err, want := range map[error]route.Verdict{
		unix.EMFILE:      route.OutOfFiles,
		unix.ENFILE:      route.OutOfFiles,
		unix.ENETUNREACH: route.ConnectFailed,
		fmt.Errorf("connecting: %w", call.ErrNoPort):    route.OutOfPorts,
		fmt.Errorf("opening a socket: %w", unix.EMFILE): route.OutOfFiles,
		errors.New("another"):                           route.ConnectFailed,
	} {
		if got := socketVerdict(err, route.ConnectFailed); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

// beginOn makes a loop with a flow of r.
func beginOn(t *testing.T, r *config.Route, log *slog.Logger) (*loop, *liveFlow) {
	t.Helper()
	listeners, dsts := listen(t, "127.0.0.1")
	l := newTestLoop(t, listeners[0], Options{Routes: live(r, dsts...), Log: log})
	f := l.openFlow(flow.KeyOf(client1, dsts[0]), nil, 1)
	if f == nil {
		t.Fatal("the flow was refused")
	}
	return l, f
}

// TestDialNextOrigin: where an origin cannot be dialled, the flow goes to the next one, and the log
// says so.
func TestDialNextOrigin(t *testing.T) {
	var log strings.Builder
	origin := newPeer(t, "127.0.0.1")
	_, f := beginOn(t, to(cannotBeDialled, origin.addr()), slog.New(slog.NewTextHandler(&log, nil)))
	if f.OriginAddr() != origin.addr() {
		t.Errorf("the flow goes to %v, want %v", f.OriginAddr(), origin.addr())
	}
	if n := strings.Count(log.String(), "cannot dial an origin"); n != 1 || !strings.Contains(log.String(), cannotBeDialled.String()) {
		t.Errorf("logged %q, want the origin that failed", log.String())
	}
}

// TestNoSocket: a flow without any origin that can be dialled is refused, and leaves no socket.
func TestNoSocket(t *testing.T) {
	listeners, dsts := listen(t, "127.0.0.1")
	routes := live(to(cannotBeDialled), dsts...)
	l := newTestLoop(t, listeners[0], Options{Routes: routes})
	files := countFiles(t)
	if f := l.openFlow(flow.KeyOf(client1, dsts[0]), nil, 1); f != nil {
		t.Fatal("the flow was begun")
	}
	totals := routes.Set().Routes[0].Stats.Totals()
	if n := totals.Datagrams[route.ToOrigin][route.ConnectFailed]; n != 1 || countFiles(t) != files || len(l.replies.held) != 0 {
		t.Errorf("%d datagrams counted as %v; %d files more; %d replies held", n, route.ConnectFailed, countFiles(t)-files, len(l.replies.held))
	}
}

// TestMove: a flow that goes to another origin has another socket to it, and the former one is
// closed.
func TestMove(t *testing.T) {
	first, second := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	r := to(first.addr(), second.addr())
	r.ProxyProtocol = config.ProxyV2First
	l, f := beginOn(t, r, nil)
	files, generation := countFiles(t), f.Sockets.generation
	f.Sockets.paths[route.ToOrigin].RefuseTrains(1)
	l.originRefused(f, unix.ECONNREFUSED, 1)
	if header, once := f.AppendHeader(nil), f.HeaderOnce(); f.OriginAddr() != second.addr() || f.Sockets.generation == generation || len(header) == 0 || !once {
		t.Errorf("the flow went on as %+v", f)
	}
	if n := countFiles(t); n != files || l.ownerOf(int(f.Sockets.fd)).flow != f || !f.Sockets.paths[route.ToOrigin].Trains(1) {
		t.Errorf("%d files, %d were open before; sockets %+v", n, files, f.Sockets)
	}
	if l.originRefused(f, unix.ECONNREFUSED, 2); f.OriginAddr() != second.addr() {
		t.Error("the flow went to an origin that refuses, too")
	}
}

// TestMoveFails: a flow whose other origins cannot be dialled keeps all that it had.
func TestMoveFails(t *testing.T) {
	l, f := beginOn(t, to(newPeer(t, "127.0.0.1").addr(), cannotBeDialled), nil)
	files, origin, sockets := countFiles(t), f.Origin, f.Sockets
	if l.moveToOtherOrigin(f, 1) {
		t.Fatal("the flow went to an origin that cannot be dialled")
	}
	if f.Origin != origin || f.Sockets != sockets || countFiles(t) != files || f.Origin.Active() != 1 {
		t.Errorf("the flow has %+v, and had %+v; %d files, %d before", f.Sockets, sockets, countFiles(t), files)
	}
}

// TestFlowSize: see flow.Flow.
func TestFlowSize(t *testing.T) {
	if size := unsafe.Sizeof(liveFlow{}); size > 288 {
		t.Errorf("a flow takes %d bytes: the next size that Go allocates is 320", size)
	}
}
