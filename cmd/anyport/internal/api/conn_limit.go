package api

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

// mostConns bounds the conns of one HTTP server: of admin.http, and of the admin socket without
// those of root.
const mostConns = 64

// connLimit is a listener whose open conns are bounded. At the bound a new conn replaces one of the
// client that has most, so that a client cannot lock out others, however slowly it reads or asks.
type connLimit struct {
	net.Listener
	most int

	mu    sync.Mutex
	conns map[net.Conn]*limitedConn // open ones, without those of root
}

// limitedConn is what decides whether a conn is closed for a new one. The states come from net/http's
// goroutines by noteState.
type limitedConn struct {
	client string // an address as limits count it, or a user of this host
	idle   bool   // between two requests
	since  time.Time
}

// limitConns bounds the conns of a listener. The caller closes the result instead of l.
func limitConns(l net.Listener, most int) *connLimit {
	return &connLimit{Listener: l, most: most, conns: map[net.Conn]*limitedConn{}}
}

// Accept returns the next conn. Those of root are not counted and never closed.
func (l *connLimit) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if client, bounded := limitedClient(conn); bounded {
		if out := l.admit(conn, client, time.Now()); out != nil {
			out.Close()
		}
	}
	return conn, nil
}

// admit notes a conn, and returns the one that is to be closed for it; nil below the bound.
func (l *connLimit) admit(conn net.Conn, client string, now time.Time) (out net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn] = &limitedConn{client: client, idle: true, since: now}
	if len(l.conns) > l.most {
		out = chooseVictim(l.conns)
		delete(l.conns, out)
	}
	return out
}

// chooseVictim returns a conn of the client that has most: an idle one if there is one, and of
// several the oldest.
func chooseVictim(conns map[net.Conn]*limitedConn) (out net.Conn) {
	held := map[string]int{}
	for _, c := range conns {
		held[c.client]++
	}
	busy := func(c *limitedConn) int {
		if c.idle {
			return 0
		}
		return 1
	}
	for conn, c := range conns {
		if out == nil {
			out = conn
			continue
		}
		o := conns[out]
		if cmp.Or(cmp.Compare(held[o.client], held[c.client]), cmp.Compare(busy(c), busy(o)), c.since.Compare(o.since)) < 0 {
			out = conn
		}
	}
	return out
}

// noteState is for http.Server.ConnState.
func (l *connLimit) noteState(conn net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch c, ok := l.conns[conn]; {
	case !ok:
	case state == http.StateClosed || state == http.StateHijacked:
		delete(l.conns, conn)
	default:
		c.idle = state == http.StateIdle
	}
}

// limitedClient names the client of a conn: by its address, as in all limits, or as a user of this
// host. Root's conns are not bounded, so that root is never locked out.
func limitedClient(conn net.Conn) (name string, bounded bool) {
	if c, ok := conn.(*fileConn); ok {
		return strconv.Itoa(c.peer.uid), !c.peer.root()
	}
	address, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return "", true
	}
	return client.Of(address.Addr()).String(), true
}
