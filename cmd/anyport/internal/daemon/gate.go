package daemon

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"anyport/proxy/client"
)

// mostGuests bounds the conns of one HTTP server: of admin.http, and of the admin socket
// without those of root.
const mostGuests = 64

// gate is a listener whose conns are bounded. At the bound a conn of whoever has most gives
// way to a new one, so that nobody keeps others out, however slowly they read or ask.
type gate struct {
	net.Listener
	most int

	mu     sync.Mutex
	guests map[net.Conn]*guest
}

// guest is one conn, and what decides whether it gives way.
type guest struct {
	from  string // whose it is
	idle  bool   // between two requests
	since time.Time
}

func newGate(l net.Listener, most int) *gate {
	return &gate{Listener: l, most: most, guests: map[net.Conn]*guest{}}
}

// Accept lets the next conn in. Root's are not counted and never give way.
func (g *gate) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if from, bounded := origin(conn); bounded {
		if out := g.admit(conn, from, time.Now()); out != nil {
			out.Close()
		}
	}
	return conn, nil
}

// admit notes a conn, and returns the one that is to be closed for it.
func (g *gate) admit(conn net.Conn, from string, now time.Time) (out net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guests[conn] = &guest{from: from, idle: true, since: now}
	if len(g.guests) > g.most {
		out = givesWay(g.guests)
		delete(g.guests, out)
	}
	return out
}

// givesWay chooses a conn of whoever has most: one that is idle, if there is one, and of
// several the oldest.
func givesWay(guests map[net.Conn]*guest) (out net.Conn) {
	held := map[string]int{}
	for _, g := range guests {
		held[g.from]++
	}
	busy := func(g *guest) int {
		if g.idle {
			return 0
		}
		return 1
	}
	for conn, g := range guests {
		if out == nil {
			out = conn
			continue
		}
		o := guests[out]
		if cmp.Or(cmp.Compare(held[o.from], held[g.from]), cmp.Compare(busy(g), busy(o)), g.since.Compare(o.since)) < 0 {
			out = conn
		}
	}
	return out
}

// noteState is for http.Server.ConnState.
func (g *gate) noteState(conn net.Conn, state http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch guest, ok := g.guests[conn]; {
	case !ok:
	case state == http.StateClosed || state == http.StateHijacked:
		delete(g.guests, conn)
	default:
		guest.idle = state == http.StateIdle
	}
}

// origin says whose a conn is: a client's by its address, as in all limits, or a user's of
// this host. Root's conns are not bounded: root is never locked out.
func origin(conn net.Conn) (from string, bounded bool) {
	if c, ok := conn.(*passingConn); ok {
		return strconv.Itoa(c.peer.uid), !c.peer.root()
	}
	address, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return "", true
	}
	return client.Of(address.Addr()).String(), true
}
