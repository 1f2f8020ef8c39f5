package fleet

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/netnstest"
)

// inject sends a frame through a device of a namespace.
func (r *rig) inject(ns netns.NsHandle, device string, frames ...[]byte) {
	r.t.Helper()
	netnstest.In(r.t, ns, func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		d, err := net.InterfaceByName(device)
		for _, frame := range frames {
			if err == nil {
				err = unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: d.Index})
			}
			if err == unix.ENOBUFS {
				err = nil
			}
		}
		return err
	})
}

// mac is the address of a device.
func (r *rig) mac(ns netns.NsHandle, device string) (mac [6]byte) {
	r.t.Helper()
	netnstest.In(r.t, ns, func() error {
		d, err := net.InterfaceByName(device)
		if err == nil {
			mac = [6]byte(d.HardwareAddr)
		}
		return err
	})
	return mac
}

// tupleOf is a conn as its client's packets have it.
func tupleOf(c net.Conn) tuple {
	return tuple{c.LocalAddr().(*net.TCPAddr).AddrPort(), c.RemoteAddr().(*net.TCPAddr).AddrPort()}
}

// TestForged: what comes not from a peer, or not by the backplane, or with a wrong tag, or for the second
// time, does nothing to a conn. All of it would end the conn: the last one, which is in order, does.
func TestForged(t *testing.T) {
	t.Parallel()
	for name, six := range map[string]bool{"backplane IPv4": false, "backplane IPv6": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			r.join(six)
			r.serve(0, both[0])
			c := r.dial(0, both[0])
			r.askAll([]*conn{c})
			victim, peer := r.edges[0], r.edges[1]
			from, to, mac := peer.local[six], victim.local[six], r.mac(victim.ns, "back")
			end := tupleOf(c)
			packet := tcpPacket(end.client, end.dst, 4, nil) // a reset; its sequence number has to be right
			p, _ := parse(packet, true)
			frame := func(kind bpf.FleetMessage, from netip.Addr, change func([]byte)) []byte {
				f := wrap(packet, kind, p, from, to, [6]byte{2, 0, 0, 0, 0, 9}, mac)
				if change != nil {
					change(f)
				}
				return f
			}
			header := 14 + Overhead(to) - headerSize
			stranger := to.Next().Next().Next()
			count := func() Counts { return victim.fleet.Status().Counts }
			for _, test := range []struct {
				name  string
				frame []byte
			}{
				{"from a stranger", frame(bpf.FleetMessageASK, stranger, nil)},
				{"a wrong tag", frame(bpf.FleetMessageASK, from, func(f []byte) { f[header+8] ^= 1 })},
				{"of another kind", frame(bpf.FleetMessageSTRAIGHT, from, func(f []byte) { f[header+1] = byte(bpf.FleetMessageASK) })},
				{"the second time", frame(bpf.FleetMessageASK, from, func(f []byte) { f[header+3] = 2 })},
				{"of another version", frame(bpf.FleetMessageASK, from, func(f []byte) { f[header] = 2 })},
				{"for another conn", frame(bpf.FleetMessageASK, from, func(f []byte) { f[header+headerSize+20+1] ^= 1 })},
			} {
				before := count()
				r.inject(peer.ns, "back", test.frame)
				r.eventually(test.name+" is counted", func() bool { return count().Forged > before.Forged })
				if after := count(); after.Taken != before.Taken || after.Foreign != before.Foreign {
					t.Errorf("%s: %+v, before %+v", test.name, after, before)
				}
			}
			if w := victim.fleet.Status().Peers[0].WrongTag; w == 0 {
				t.Error("no wrong tag is counted")
			}
			other := frame(bpf.FleetMessageASK, from, nil)
			gateway := r.mac(victim.ns, "eth0")
			copy(other, gateway[:])
			before := count()
			r.inject(r.router, "e1", other)
			r.askAll([]*conn{c}) // its packets have come after that one
			if after := count(); after != before {
				t.Errorf("by another device: %+v, before %+v", after, before)
			}
			r.inject(peer.ns, "back", frame(bpf.FleetMessageASK, from, nil))
			r.eventually("what is in order is taken", func() bool { return count().Taken > before.Taken })
			r.askAll([]*conn{c})
		})
	}
}

// TestFlood: packets of no conn are asked for at the rates only, and conns that move live on meanwhile.
func TestFlood(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(false)
	var conns []*conn
	for _, at := range both {
		r.serve(0, at)
		for range 10 {
			conns = append(conns, r.dial(0, at))
		}
	}
	gateway := r.mac(r.router, "c0")
	var frames [][]byte
	for n := range 30_000 {
		client := netip.MustParseAddrPort("10.1.0.77:0")
		frame := append(ethernet(true), tcpPacket(netip.AddrPortFrom(client.Addr(), uint16(1024+n)), netip.MustParseAddrPort(both[0]), 16, nil)...)
		copy(frame, gateway[:])
		frames = append(frames, frame)
	}
	r.route(1)
	began := time.Now()
	r.inject(r.client, "eth0", frames[:20_000]...)
	r.askAll(conns)
	r.inject(r.client, "eth0", frames[20_000:]...)
	r.askAll(conns)
	c := r.edges[1].fleet.Status().Counts
	const others = 200 // questions for the conns, whose source is another one
	bound := others + sourceQuestionsBurst + uint64(time.Since(began).Seconds()*sourceQuestionsRate)
	t.Logf("%+v", c)
	if c.Asked < sourceQuestionsBurst/2 || c.Asked > bound {
		t.Errorf("%d were asked for, want %d to %d", c.Asked, sourceQuestionsBurst/2, bound)
	}
	if bound < uint64(len(frames)) && c.Shed == 0 { // an emulator may be slower than the rate
		t.Error("nothing was shed")
	}
}
