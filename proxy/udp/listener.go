package udp

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// readClients takes one batch from the listener to the origins.
func (l *loop) readClients(now time.Duration) {
	n, err := l.fromPeers.read(l.listener)
	if err != nil && err != unix.EAGAIN {
		l.log.warn(now, "reading from the listener", "error", err)
	}
	for i := range n {
		l.fromClient(i, now)
	}
	l.out.flush()
}

// fromClient takes datagram i of the batch on its way.
func (l *loop) fromClient(i int, now time.Duration) {
	client, known := l.fromPeers.sender(i)
	c, ok := l.fromPeers.control(i)
	l.countDropped(c.drops)
	switch {
	case !known || !ok:
		l.log.warn(now, "a datagram without its dst: the listener needs IP_RECVORIGDSTADDR and IPV6_RECVORIGDSTADDR")
		return
	case l.fromPeers.truncated(i):
		l.unrouted(route.Truncated, 1)
		return
	}
	payload := l.fromPeers.payload(i)
	f, verdict := l.table.datagram(key{client, c.dst}, len(payload), now)
	if verdict != route.Forwarded {
		return
	}
	l.out.add(outgoing{fd: f.fd, flow: f, direction: route.ToOrigin, header: f.header, payload: payload})
	if f.headerOnce { // whether the next datagram needs it too shows when this one is sent
		l.out.flush()
	}
}

// countDropped counts what the kernel dropped since the listener last said so.
// It says so beside a datagram, and not before the first loss.
func (l *loop) countDropped(drops uint32) {
	if drops == 0 || drops == l.dropped {
		return
	}
	l.unrouted(route.Overflowed, int(drops-l.dropped))
	l.dropped = drops
}

func (l *loop) unrouted(v route.Verdict, n int) {
	l.table.routes.Unrouted.Shard(l.table.shard).Datagrams(route.ToOrigin, v, n)
}

// clearErrors empties the listener's error queue. ICMP errors for replies land
// there where IP_RECVERR is set, and keep epoll awake until they are read.
func (l *loop) clearErrors() {
	for range batch {
		if _, _, _, _, err := unix.Recvmsg(l.listener, nil, nil, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT); err != nil {
			return
		}
	}
}

// readOrigin takes one batch of f's origin to the client.
func (l *loop) readOrigin(f *flow, now time.Duration) {
	n, err := l.fromOne.read(f.fd)
	if err != nil && err != unix.EAGAIN {
		f.counters.Datagrams(route.ToClient, route.OriginError, 1) // read, it is gone; the flow lives on
	}
	if n == 0 {
		return
	}
	answer, err := l.table.replies.use(f.reply)
	if err != nil {
		l.log.warn(now, "no socket can answer from dst", "dst", f.dst(), "error", err)
		f.counters.Datagrams(route.ToClient, route.SendFailed, n)
		return
	}
	for i := range n {
		l.fromOrigin(f, i, answer, now)
	}
	l.out.flush()
}

// fromOrigin takes datagram i of the batch on its way.
func (l *loop) fromOrigin(f *flow, i int, answer answerer, now time.Duration) {
	if l.fromOne.truncated(i) {
		f.counters.Datagrams(route.ToClient, route.Truncated, 1)
		return
	}
	payload, verdict := l.table.answer(f, l.fromOne.payload(i), now)
	if verdict != route.Forwarded {
		return
	}
	d := outgoing{fd: answer.fd, flow: f, direction: route.ToClient, payload: payload, to: &f.peer}
	if answer.raw() {
		d.control = answer.control
		d.header = udpHeader(f.dst(), f.client(), payload)
		d.to = withoutPort(f.key.client)
	}
	l.out.add(d)
}

// withoutPort names a raw socket's peer, whose port stands in the UDP header
// instead; IPv6 takes a port for the protocol number (raw(7), ipv6(7)).
func withoutPort(client endpoint) *sockaddr {
	client.port = 0
	s := client.sockaddr()
	return &s
}
