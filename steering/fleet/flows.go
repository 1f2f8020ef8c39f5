package fleet

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
	"anyport/steering/clock"
)

// view is what the loops of the proxy need to know of the fleet. It never changes: they must not wait for
// the mutex of Fleet, under which the kernel is asked about routes.
type view struct {
	socket  *net.UDPConn
	local   netip.Addr
	key     [16]byte
	also    [16]byte // see Options
	asked   []netip.Addr
	mtu     int
	changed time.Time // see members
}

// viewOf is nil if there are no peers. The caller holds mu.
func (f *Fleet) viewOf(device backplane) *view {
	if len(f.options.Peers) == 0 || f.socket == nil || !device.known() {
		return nil
	}
	return &view{f.socket, f.options.Local, f.options.Key, f.options.Also, f.members.asked(), device.mtu, f.members.changed}
}

// settlingIdles is for how many idle times after a change of the members any datagram of an unknown flow is
// asked about: the routers need some time, and a client may be quiet for one idle time.
const settlingIdles = 2

// Show has this host say that it has a flow when a peer asks. The addresses have no zone. If the map is
// full, the flow can't move to another host.
func (f *Fleet) Show(client, dst netip.AddrPort) {
	_ = f.objects.flows.Put(connOf(client, dst), uint32(1))
}

// Hide is the opposite of Show.
func (f *Fleet) Hide(client, dst netip.AddrPort) {
	_ = f.objects.flows.Delete(connOf(client, dst))
}

// Seek asks the peers who has the flow of a datagram, if it may be a flow of theirs. found: it is known
// already that one has. asked: answered is called, at most once and on another goroutine, when the answer
// is known; the caller owes a Found, then or when it waits no longer. Otherwise no peer has the flow, or
// there are too many questions.
//
// idle is how long the flow may be without a datagram. lasting: the datagram looks like one from the middle of
// a flow; others are asked about only while the fleet settles, or if a peer had their flow.
func (f *Fleet) Seek(client, dst netip.AddrPort, idle time.Duration, lasting bool, answered func()) (asked, found bool) {
	v := f.view.Load()
	if v == nil || len(v.asked) == 0 {
		return false, false
	}
	conn, now := connOf(client, dst), clock.Monotonic()
	m, known := f.movedTo(conn)
	switch {
	case known && m.isFresh(now) && slices.Contains(v.asked, m.peer()):
		return false, true
	case !known && !lasting && time.Since(v.changed) >= settlingIdles*idle:
		return false, false
	case !f.seeking.begin(conn, client.Addr(), &flowQuestion{left: slices.Clone(v.asked), idle: idle, answered: answered}, now):
		return false, false
	}
	for _, peer := range v.asked {
		v.say(bpf.FleetMessageSEEK, conn, peer)
	}
	return true, false
}

// Found ends a question, and says whether a peer has the flow: its datagrams are for Send.
func (f *Fleet) Found(client, dst netip.AddrPort) bool { return f.seeking.end(connOf(client, dst)) }

// Send sends a datagram to the peer that has its flow. It does not wait: a datagram is lost if it does not
// fit through the backplane, or if the socket does not take it at once.
func (f *Fleet) Send(client, dst netip.AddrPort, tos uint8, payload []byte) {
	v, conn := f.view.Load(), connOf(client, dst)
	m, known := f.movedTo(conn)
	sent := false
	if v != nil && known {
		packet := wrapDatagram(datagram{client, dst, tos, payload}, v.local, v.key)
		if len(packet)-headerSize+Overhead(v.local) <= v.mtu {
			sent = v.send(packet, m.peer())
		}
	}
	if !sent {
		f.seeking.lost.Add(1)
	}
}

// moved is which peer has a flow, as the program knows it.
type moved bpf.FleetMoved

func (m moved) peer() netip.Addr { return bpfmaps.AddrOfWords(m.Peer) }

// isFresh is what the program decides by, too.
func (m moved) isFresh(now time.Duration) bool { return uint64(now) <= m.Last+m.Idle }

func (f *Fleet) movedTo(conn body) (m moved, ok bool) {
	err := f.objects.moved.Lookup(conn, (*bpf.FleetMoved)(&m))
	return m, err == nil
}

// hearOfFlow acts on a message about a flow; false: it is about something else.
func (f *Fleet) hearOfFlow(b []byte, from netip.Addr) bool {
	v := f.view.Load()
	if v == nil {
		return false
	}
	kind, conn, ok := decode(b, from, v.key, v.also)
	if !ok {
		return false
	}
	switch kind {
	case bpf.FleetMessageSEEK:
		f.answer(v, conn, from)
	case bpf.FleetMessageHAVE:
		f.seeking.have(conn, func(idle time.Duration) error {
			f.learnt.Add(1)
			return f.objects.moved.Put(conn, bpf.FleetMoved{Peer: bpfmaps.AddrWords(from), Last: uint64(clock.Monotonic()), Idle: uint64(idle)})
		})
	case bpf.FleetMessageLACK:
		if m, known := f.movedTo(conn); known && m.peer() == from {
			f.gone.Add(1)
			_ = f.objects.moved.Delete(conn)
		}
		f.seeking.lack(conn, from)
	default:
		return false
	}
	return true
}

// answer says whether this host has a flow.
func (f *Fleet) answer(v *view, conn body, to netip.Addr) {
	var here uint32
	if f.objects.flows.Lookup(conn, &here) != nil {
		v.say(bpf.FleetMessageLACK, conn, to)
		return
	}
	f.told.Add(1)
	v.say(bpf.FleetMessageHAVE, conn, to)
}

// say sends a message. One that is lost is missed by who waits for its answer.
func (v *view) say(kind bpf.FleetMessage, said body, to netip.Addr) {
	v.send(encode(kind, said, v.local, v.key), to)
}

// send does not wait until the socket takes it, as a write of package net would: it is called on loops.
func (v *view) send(b []byte, to netip.Addr) (sent bool) {
	raw, err := v.socket.SyscallConn()
	if err != nil {
		return false
	}
	at := sockaddr(netip.AddrPortFrom(to, Port))
	err = raw.Control(func(fd uintptr) { sent = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, at) == nil })
	return err == nil && sent
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
