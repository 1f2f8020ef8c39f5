package tcp

import (
	"net/netip"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

// inbound is what a conn of a route with accept_proxy has beyond others. The PROXY header stays in
// the kernel's queue until an origin has accepted: it is peeked at to name the client, and again for
// its TLVs. So a conn that waits for its header, or dials, holds no memory for it, and moves to
// another process as its socket.
type inbound struct {
	peer     netip.AddrPort // where the conn comes from
	dst      netip.AddrPort // that the header names; the conn's own if it names none
	size     int            // bytes of the header that are still in the queue
	awaits   bool           // the kernel waits for more of it: see sockets.Await
	admitted bool           // the client is named and admitted
}

// awaitLeast is the size of a header, in bytes, from which the kernel is told to wait for all of it:
// the usual receive buffer might not have room for it, and each part that comes is peeked at with all
// before it.
const awaitLeast = 4 << 10

// readInbound looks for the header of a conn in state naming, after an event of the client's socket.
// Once all of it is there, the client that it names is judged, and the first origin dialled.
func (l *loop) readInbound(c *conn) {
	from := &c.ends[clientEnd]
	if from.failed {
		l.endConn(c, l.resetOrTimeout(c, route.ResetByClient))
		return
	}
	if !from.readable {
		return
	}
	b, err := l.peekHeader(c)
	if err != nil {
		if from.readFailed(err); from.failed {
			l.endConn(c, l.resetOrTimeout(c, route.ResetByClient))
		}
		return
	}
	h, need, err := header.ParseStream(b)
	switch {
	case err != nil:
		l.log.Warn(l.now, "a peer sent no valid PROXY header", "route", c.route.Name, "peer", c.client, "error", err)
		l.endConn(c, route.BadHeader)
	case need <= len(b):
		l.nameClient(c, h)
	case from.hungUp: // FIN: the rest will not come
		l.endConn(c, route.BadHeader)
	default:
		from.readable = false
		l.awaitHeader(c, need)
	}
}

// peekHeader returns what the client's socket has of its header, in a buffer that is good until the
// next read: the loop's, or one for a header that is longer.
func (l *loop) peekHeader(c *conn) ([]byte, error) {
	n, err := l.sockets.Peek(c.ends[clientEnd].fd, l.readBuffer)
	if err != nil {
		return nil, err
	}
	if _, need, _ := header.ParseStream(l.readBuffer[:n]); need <= len(l.readBuffer) {
		return l.readBuffer[:n], nil
	}
	long := make([]byte, header.MaxInbound)
	n, err = l.sockets.Peek(c.ends[clientEnd].fd, long)
	return long[:max(n, 0)], err
}

// awaitHeader waits until n bytes have come.
func (l *loop) awaitHeader(c *conn, n int) {
	if n >= awaitLeast && !c.inbound.awaits {
		c.inbound.awaits = true
		l.sockets.Await(c.ends[clientEnd].fd, n)
	}
}

// nameClient goes on with a conn whose header is there: it now counts as one of the client that the
// header names, or of the peer if it names nobody.
func (l *loop) nameClient(c *conn, h header.Inbound) {
	c.inbound.size = h.Size
	if c.inbound.awaits {
		l.sockets.Await(c.ends[clientEnd].fd, 1)
		c.inbound.awaits = false
	}
	l.removeFromClient(c)
	if h.Named() {
		c.client, c.inbound.dst = h.Client, h.Dst
	}
	l.addToClient(c)
	if v := c.route.AdmitNamed(c.client.Addr()); v != route.Admitted {
		l.endConn(c, v)
		return
	}
	c.inbound.admitted, c.state, c.active = true, dialling, l.now
	l.dialNext(c, route.NoOrigin)
}

// takeInbound takes the header out of the kernel's queue, once an origin has accepted, and returns its
// TLVs. What follows it is the client's payload.
func (l *loop) takeInbound(c *conn) (tlvs []byte) {
	if c.inbound.size == 0 {
		return nil
	}
	if len(c.route.ProxyTLVs) > 0 {
		if b, err := l.peekHeader(c); err == nil {
			h, _, _ := header.ParseStream(b) // the bytes that were parsed before: nobody else reads
			tlvs = h.TLVs
		}
	}
	l.discardPassed(&c.ends[clientEnd], c.inbound.size)
	c.inbound.size = 0
	return tlvs
}

// peer is where a conn comes from if a header names its client; otherwise the zero value.
func (c *conn) peer() netip.AddrPort {
	if c.inbound == nil {
		return netip.AddrPort{}
	}
	return c.inbound.peer
}

// release gives the conn's place on its route back, and its client's if it has one.
func (c *conn) release() {
	if c.inbound != nil && !c.inbound.admitted {
		c.route.ReleasePeer(config.TCP)
		return
	}
	c.route.Release(config.TCP, c.client.Addr())
}
