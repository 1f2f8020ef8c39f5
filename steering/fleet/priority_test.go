package fleet

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/netnstest"
)

// withTag gives a frame a tag of a VLAN; that of 0 says only its priority.
func withTag(frame []byte, id byte) []byte {
	tagged := append(append([]byte(nil), frame[:12]...), 0x81, 0, 0x60, id)
	return append(tagged, frame[12:]...)
}

// watchTags begins to read frames of wrapped packets, and of answers of the program, at a device. The function says of
// the next one whether it has a tag.
func (r *rig) watchTags(ns netns.NsHandle, device string) func() bool {
	r.t.Helper()
	var fd int
	netnstest.In(r.t, ns, func() error {
		d, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8)
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return errors.Join(unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(soon / time.Second)}),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: d.Index}))
	})
	r.t.Cleanup(func() { unix.Close(fd) })
	return func() bool {
		frame, control := make([]byte, 1<<12), make([]byte, 64)
		for {
			n, size, _, _, err := unix.Recvmsg(fd, frame, control, 0)
			if err != nil {
				r.t.Fatalf("no frame: %v", err)
			}
			at := 14 + 20
			if frame[12] == 0x86 {
				at = 14 + 40
			}
			if n < at+8+headerSize || port(frame[at:]) < 0xc000 || port(frame[at+2:]) != Port {
				continue
			}
			messages, err := unix.ParseSocketControlMessage(control[:size])
			if err != nil || len(messages) != 1 {
				r.t.Fatalf("%v, %+v", err, messages)
			}
			return binary.NativeEndian.Uint32(messages[0].Data)&unix.TP_STATUS_VLAN_VALID != 0
		}
	}
}

// TestPriorityTag: a switch may give frames a tag that only says their priority. They are asked about and unwrapped
// like any others, and go to the peers without the tag. Those of a VLAN are not for the device that they come by.
func TestPriorityTag(t *testing.T) {
	t.Parallel()
	for name, six := range map[string]bool{"backplane IPv4": false, "backplane IPv6": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 2)
			r.join(six)
			asker, peer := r.edges[0], r.edges[1]
			gateway := r.mac(asker.ns, "eth0")
			for n, dst := range both {
				c := tuple{netip.MustParseAddrPort([]string{"10.1.0.2:2000", "[fd01::2]:2000"}[n]), netip.MustParseAddrPort(dst)}
				packet := tcpPacket(c.client, c.dst, 16, make([]byte, 20))
				v4 := c.dst.Addr().Is4()
				frame := append(ethernet(v4), packet...)
				copy(frame, gateway[:])
				asked, foreign := asker.fleet.Status().Counts.Asked, peer.fleet.Status().Counts.Foreign
				wire := r.watchTags(peer.ns, "back")
				r.inject(r.router, "e1", withTag(frame, 5), withTag(frame, 0))
				r.eventually("the peer is asked", func() bool { return peer.fleet.Status().Counts.Foreign > foreign })
				if got := asker.fleet.Status().Counts.Asked - asked; got != 1 {
					t.Errorf("%s: %d packets were asked about, want the one without a VLAN", dst, got)
				}
				if question, answer := wire(), wire(); question || answer {
					t.Errorf("%s: with a tag on the backplane: the question %v, the answer %v", dst, question, answer)
				}
			}
			r.serve(1, both[0])
			c := r.dial(1, both[0])
			r.askAll([]*conn{c})
			wrapped := func(conn tuple) []byte {
				inside := tcpPacket(conn.client, conn.dst, 16, nil)
				p, _ := parse(inside, true)
				return withTag(wrap(inside, bpf.FleetMessageASK, p, asker.local[six], peer.local[six], r.mac(asker.ns, "back"), r.mac(peer.ns, "back")), 0)
			}
			taken, end := peer.fleet.Status().Counts.Taken, tupleOf(c)
			r.inject(asker.ns, "back", wrapped(end))
			r.eventually("it is unwrapped", func() bool { return peer.fleet.Status().Counts.Taken > taken })
			r.askAll([]*conn{c})
			answer := r.watchTags(asker.ns, "back")
			end.client = netip.AddrPortFrom(end.client.Addr(), end.client.Port()^1)
			r.inject(asker.ns, "back", wrapped(end))
			if answer() {
				t.Error("the answer has the tag of the question")
			}
		})
	}
}
