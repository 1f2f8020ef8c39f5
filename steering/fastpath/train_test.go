package fastpath

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/bpf/fastflow"
)

// TestTrains: datagrams that cross the client's kernel as one train arrive each for itself and are counted
// so; where each needs a header they go up together.
func TestTrains(t *testing.T) {
	since(t, 6, 1, "veth devices cut trains")
	r := newRig(t)
	p := r.open()
	const size, number = 500, 10
	for family, f := range ends {
		client, origin := r.socket(r.client, f.Client.String()), r.socket(r.origin, f.Origin.String())
		raw, err := client.SyscallConn()
		r.check(err)
		r.check(raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, size) }))
		r.check(err)
		for _, computed := range []bool{false, true} {
			r.checksums(r.edge, "o0", !computed)
			for _, h := range []fastflow.Header{fastflow.None, fastflow.V2} {
				f.Header, f.Idle = h, time.Minute
				r.check(p.Admit(f))
				train := make([]byte, size*number)
				for i := range train {
					train[i] = byte(i / size)
				}
				_, err := client.WriteToUDPAddrPort(train, f.Dst)
				r.check(err)
				wait, want := patience, number
				if h != fastflow.None {
					wait, want = brief, 0
				}
				for i := range number {
					got, from := r.receive(origin, wait)
					if want == 0 && got != nil || want > 0 && (from != f.Source || !bytes.Equal(got, train[i*size:(i+1)*size])) {
						t.Errorf("%s, header %d: datagram %d is %d bytes from %v", family, h, i, len(got), from)
					}
					if got == nil {
						break
					}
				}
				if u, _ := p.Remove(f); u.ToOrigin != (fastflow.Count{Packets: uint64(want), Bytes: uint64(want * size)}) {
					t.Errorf("%s, header %d: counted %+v", family, h, u)
				}
			}
		}
	}
}

// TestRouteMTU: what exceeds the MTU of the route to the origin, with the header that it would get, goes up.
func TestRouteMTU(t *testing.T) {
	r := newRig(t)
	r.shell("ip route change 10.2.0.0/24 dev o0 src 10.2.0.1 mtu 1000; ip -6 route add fd02::2 dev o0 mtu 1300")
	p := r.open()
	for family, mtu := range map[string]int{"IPv4": 1000, "IPv6": 1300} {
		f := ends[family]
		client, origin := r.socket(r.client, f.Client.String()), r.socket(r.origin, f.Origin.String())
		for _, h := range []fastflow.Header{fastflow.None, fastflow.V2, fastflow.SPP} {
			t.Run(fmt.Sprint(family, h), func(t *testing.T) {
				f.Header, f.Idle = h, time.Minute
				r.check(p.Admit(f))
				most := mtu - 28 - len(headerOf(f))
				if f.Client.Addr().Is6() {
					most -= 20
				}
				for size, arrives := range map[int]bool{most: true, most + 1: false} {
					_, err := client.WriteToUDPAddrPort(make([]byte, size), f.Dst)
					r.check(err)
					wait := patience
					if !arrives {
						wait = brief
					}
					if got, _ := r.receive(origin, wait); (got != nil) != arrives {
						t.Errorf("%d bytes: got %d", size, len(got))
					}
				}
				p.Remove(f)
			})
		}
	}
}
