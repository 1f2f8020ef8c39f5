package integration

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forgeSYNs sends SYNs to dst whose sources are the hosts of an IPv4 /24, some a second,
// until the test ends or stop is called, which returns how many it has sent.
func (h *host) forgeSYNs(t *testing.T, network, dst string, perSecond int) (stop func() uint64) {
	t.Helper()
	to, source := netip.MustParseAddrPort(dst), netip.MustParseAddr(network).As4()
	return h.forge(t, to.Addr(), perSecond, func(n uint64) []byte {
		source[3] = byte(1 + n%250)
		return forgedSYN(netip.AddrPortFrom(netip.AddrFrom4(source), uint16(1024+n%60_000)), to)
	})
}

// forge sends the packets that packet makes, some a second, until the test ends or stop is called, which returns
// how many it has sent.
func (h *host) forge(t *testing.T, to netip.Addr, perSecond int, packet func(n uint64) []byte) (stop func() uint64) {
	t.Helper()
	var fd int
	var err error
	h.do(func() { fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW) })
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Uint64
	quit, done := make(chan struct{}), make(chan struct{})
	go func() { // ended by stop
		defer close(done)
		defer unix.Close(fd)
		for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
			select {
			case <-quit:
				tick.Stop()
				return
			default:
			}
			for range perSecond / 100 {
				if err := unix.Sendto(fd, packet(sent.Add(1)), 0, &unix.SockaddrInet4{Addr: to.As4()}); err != nil {
					t.Error("forge a packet:", err)
					return
				}
			}
		}
	}()
	var stopped atomic.Bool
	stop = func() uint64 {
		if !stopped.Swap(true) {
			close(quit)
		}
		<-done
		return sent.Load()
	}
	t.Cleanup(func() { stop() })
	return stop
}

// forgedDatagram is an IPv4 packet with a UDP datagram in it, without a checksum.
func forgedDatagram(from, to netip.AddrPort, payload string) []byte {
	source, dst := from.Addr().As4(), to.Addr().As4()
	p := make([]byte, 28, 28+len(payload))
	p[0], p[8], p[9] = 0x45, 64, unix.IPPROTO_UDP
	copy(p[12:], source[:])
	copy(p[16:], dst[:])
	binary.BigEndian.PutUint16(p[20:], from.Port())
	binary.BigEndian.PutUint16(p[22:], to.Port())
	binary.BigEndian.PutUint16(p[24:], uint16(8+len(payload)))
	return append(p, payload...)
}

// forgedSYN is an IPv4 packet with a TCP SYN in it. The kernel writes the checksum of the
// first header.
func forgedSYN(from, to netip.AddrPort) []byte { return forgedSegment(from, to, 0x02) }

// forgedSegment is an IPv4 packet with a TCP segment without data in it, with these flags.
func forgedSegment(from, to netip.AddrPort, flags byte) []byte {
	source, dst := from.Addr().As4(), to.Addr().As4()
	p := make([]byte, 40)
	p[0], p[8], p[9] = 0x45, 64, unix.IPPROTO_TCP
	copy(p[12:], source[:])
	copy(p[16:], dst[:])
	segment := p[20:]
	binary.BigEndian.PutUint16(segment, from.Port())
	binary.BigEndian.PutUint16(segment[2:], to.Port())
	segment[12], segment[13] = 5<<4, flags // five words
	binary.BigEndian.PutUint16(segment[14:], 65535)
	sum := uint32(unix.IPPROTO_TCP + len(segment))
	for i := 12; i < len(p); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(segment[16:], ^uint16(sum))
	return p
}
