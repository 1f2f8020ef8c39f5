package tcp

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/origin"
	"anyport/proxy/pipes"
	"anyport/proxy/route"
)

// fakePeer is a client or an origin, with the proxy's socket to it.
type fakePeer struct {
	says     []byte // that the proxy has not read
	fin      bool   // ends what it says
	err      error  // waits on the socket
	startles int    // reads that a signal meets
	room     int    // that its socket has for more
	heard    []byte
	heardEnd string
	paced    config.Rate
}

// fakeSockets has the peers by their fds, and its only pipe.
type fakeSockets struct {
	peers map[int32]*fakePeer
	piped []byte
}

func (w *fakeSockets) Receive(fd int32, b []byte) (int, error) {
	p := w.peers[fd]
	switch {
	case p.startles > 0:
		p.startles--
		return -1, unix.EAGAIN
	case len(p.says) > 0:
		n := copy(b, p.says)
		p.says = p.says[n:]
		return n, nil
	case p.err != nil:
		return -1, p.err
	case p.fin:
		return 0, nil
	}
	return -1, unix.EAGAIN
}

func (w *fakeSockets) Info(int32) call.TCPInfo { return call.TCPInfo{} }

func (w *fakeSockets) LocalAddr(int32) netip.AddrPort { return netip.AddrPort{} }

func (w *fakeSockets) Peek(fd int32, b []byte) (int, error) {
	p := w.peers[fd]
	says := p.says
	n, err := w.Receive(fd, b)
	p.says = says
	return n, err
}

func (w *fakeSockets) Discard(fd int32, n int) (int, error) {
	return w.Receive(fd, make([]byte, n))
}

func (w *fakeSockets) Send(fd int32, b []byte) (int, error) {
	p := w.peers[fd]
	n := min(p.room, len(b))
	if n == 0 {
		return -1, unix.EAGAIN
	}
	p.heard, p.room = append(p.heard, b[:n]...), p.room-n
	return n, nil
}

func (w *fakeSockets) Splice(from, to int32, most int) (int, error) {
	if w.peers[to] != nil {
		n, err := w.Send(to, w.piped[:min(most, len(w.piped))])
		w.piped = w.piped[max(n, 0):]
		return n, err
	}
	b := make([]byte, most)
	n, err := w.Receive(from, b)
	w.piped = append(w.piped, b[:max(n, 0)]...)
	return n, err
}

func (w *fakeSockets) Await(int32, int)                          {}
func (w *fakeSockets) TakeError(fd int32) error                  { return w.peers[fd].err }
func (w *fakeSockets) Unread(fd int32) uint32                    { return uint32(len(w.peers[fd].says)) }
func (w *fakeSockets) Unacked(int32) uint32                      { return 0 }
func (w *fakeSockets) EnableKeepalive(fd int32, _ time.Duration) { w.peers[fd].heardEnd += " probes" }
func (w *fakeSockets) LimitPacing(fd int32, r config.Rate)       { w.peers[fd].paced = r }
func (w *fakeSockets) Close(fd int32)                            { w.peers[fd].heardEnd += " closed" }
func (w *fakeSockets) Reset(fd int32)                            { w.peers[fd].heardEnd += " RST" }

func (w *fakeSockets) SendFIN(fd int32) error {
	w.peers[fd].heardEnd += " FIN"
	return nil
}

// fakeConn is a conn that dials its only origin, on a loop that has no fds.
type fakeConn struct {
	*loop
	*fakeSockets
	conn  *conn
	ended route.Verdict
}

func newFakeConn() *fakeConn {
	live, r := route.NewLive(1), &config.Route{
		Name:          "test",
		Origins:       []config.Origin{{Text: "only", Weight: 1}},
		ProxyProtocol: config.ProxyOff,
		Timeouts:      config.Timeouts{Connect: 5 * time.Second, Idle: time.Hour, Keepalive: 2 * time.Minute, HalfClose: time.Minute},
	}
	live.Swap(anywhere{r}, []*config.Route{r})
	f := &fakeConn{fakeSockets: &fakeSockets{peers: map[int32]*fakePeer{1: {room: 1 << 30}, 2: {room: 1 << 30}}}}
	f.loop = newLoop(Options{Loops: 1, Routes: live, Log: slog.New(slog.DiscardHandler)}, 0)
	live.SetRecording(route.Recording{To: func(r route.Record) { f.ended = r.Verdict }, Share: 1})
	f.sockets = f.fakeSockets
	only := f.loop.pipes.Adopt(-1, -1, 0)
	only.Size = pipes.Large
	f.loop.pipes.Return(only)
	f.conn = &conn{route: live.Set().Routes[0], ends: [2]end{{fd: 1}, {fd: 2}}}
	f.conn.origin = f.conn.route.Origins().Pick(origin.Ask{})
	f.conn.origin.Begin()
	f.addConn(f.conn)
	f.setTimer(f.conn)
	return f
}

// happen makes an event happen, such as "client says hello", and reports it to the loop.
func (f *fakeConn) happen(t *testing.T, event string) {
	who, what, _ := strings.Cut(event, " ")
	what, text, _ := strings.Cut(what, " ")
	which, known := map[string]int{"client": clientEnd, "origin": originEnd, "time": -1}[who]
	if !known {
		t.Fatalf("nobody is called %q", who)
	}
	if which < 0 {
		f.pass(t, text)
		return
	}
	events, known := f.peers[int32(which+1)].act(what, text)
	if !known {
		t.Fatalf("nobody can do %q", what)
	}
	if f.conn.state != closed && events != 0 {
		f.conn.ends[which].noteEvents(events)
		f.serveConn(f.conn)
		f.serveAllReady()
	}
}

// serveAllReady turns the loop until it would wait.
func (f *fakeConn) serveAllReady() {
	for len(f.ready) > 0 {
		f.serveReady()
	}
}

// act is what a peer does, and what epoll would tell of it.
func (p *fakePeer) act(what, text string) (events uint32, known bool) {
	switch what {
	case "accepts":
		return unix.EPOLLOUT, true
	case "whispers": // and the event of it comes later, with another
		p.says = append(p.says, text...)
		return 0, true
	case "says":
		p.says = append(p.says, text...)
		return unix.EPOLLIN, true
	case "urges": // and signals meet the first reads
		p.says, p.startles = append(p.says, text...), 10
		return unix.EPOLLIN | unix.EPOLLPRI, true
	case "pours":
		n, _ := strconv.Atoi(text)
		p.says = append(p.says, make([]byte, n)...)
		return unix.EPOLLIN, true
	case "closes":
		p.fin = true
		return unix.EPOLLIN | unix.EPOLLRDHUP, true
	case "resets", "refuses", "breaks", "vanishes": // of these "breaks" is RST after FIN
		p.err = map[string]error{"vanishes": unix.ETIMEDOUT, "resets": unix.ECONNRESET, "refuses": unix.ECONNREFUSED, "breaks": unix.EPIPE}[what]
		return unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLERR | unix.EPOLLHUP, true
	case "stalls":
		p.room, _ = strconv.Atoi(text)
		return 0, true
	case "reads":
		p.room = 1 << 30
		return unix.EPOLLOUT, true
	}
	return 0, false
}

// pass lets time pass.
func (f *fakeConn) pass(t *testing.T, text string) {
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	f.now += d
	f.timers.Advance(f.now, endsATurn, f.fire)
	f.serveAllReady()
}

// String tells the conn's state, its verdict if it is over, and what each peer has heard,
// and has said without being heard.
func (f *fakeConn) String() string {
	s := map[state]string{dialling: "dialling", relaying: "relaying", closed: f.ended.String()}[f.conn.state]
	for i, name := range []string{"client", "origin"} {
		p := f.peers[int32(i+1)]
		heard := string(p.heard)
		if len(heard) > 40 {
			heard = fmt.Sprint(len(heard))
		}
		if heard+p.heardEnd != "" {
			s += ", " + name + ": " + strings.TrimSpace(heard+p.heardEnd)
		}
		if f.conn.state != closed && len(p.says) > 0 {
			s += fmt.Sprintf(", %d unread", len(p.says))
		}
	}
	return s
}
