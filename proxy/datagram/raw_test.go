package datagram

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// verify adds up pseudo header (RFC 768; RFC 8200 §8.1), header and payload, byte
// by byte as the RFCs lay them out. A datagram that came unharmed gives all ones.
func verify(from, to netip.Addr, datagram []byte) uint32 {
	var b bytes.Buffer
	b.Write(from.AsSlice())
	b.Write(to.AsSlice())
	if from.Is4() {
		b.Write([]byte{0, unix.IPPROTO_UDP})
		b.Write(binary.BigEndian.AppendUint16(nil, uint16(len(datagram))))
	} else {
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(datagram))))
		b.Write([]byte{0, 0, 0, unix.IPPROTO_UDP})
	}
	b.Write(datagram)
	var sum uint32
	for i, c := range b.Bytes() {
		sum += uint32(c) << (8 * (1 - i%2))
		sum = sum>>16 + sum&0xffff
	}
	return sum
}

func TestUDPHeader(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, pair := range [][2]netip.AddrPort{{dst1, client1}, {dst6, client6}} {
		from, to := pair[0], pair[1]
		for i, size := range []int{0, 1, 2, 3, 1472, 65506, 65507} {
			payload := make([]byte, size)
			for i := range payload {
				payload[i] = byte(random.Uint32())
			}
			h := make([]byte, UDPHeaderSize+i%2*3) // in front of the payload may stand a header more
			copy(h[UDPHeaderSize:], "spp")
			PutUDPHeader(h, from, to, payload)
			size += len(h)
			if binary.BigEndian.Uint16(h) != from.Port() ||
				binary.BigEndian.Uint16(h[2:]) != to.Port() || int(binary.BigEndian.Uint16(h[4:])) != size {
				t.Errorf("%v → %v, %d bytes: header %x", from, to, size, h)
			}
			if got := verify(from.Addr(), to.Addr(), append(h, payload...)); got != 0xffff {
				t.Errorf("%v → %v, %d bytes: the sum is %x", from, to, size, got)
			}
		}
	}
}

// TestChecksumIsNeverZero: zero on the wire would say that there is none.
func TestChecksumIsNeverZero(t *testing.T) {
	h := make([]byte, UDPHeaderSize)
	PutUDPHeader(h, dst1, client1, []byte{0, 0})
	complement := binary.BigEndian.AppendUint16(nil, binary.BigEndian.Uint16(h[6:])) // brings the sum to all ones
	if PutUDPHeader(h, dst1, client1, complement); binary.BigEndian.Uint16(h[6:]) != 0xffff {
		t.Errorf("checksum %x, want ffff", h[6:])
	}
}

// TestRawSocketNeedsCapability: without CAP_NET_RAW there is an error that says so, and no socket.
func TestRawSocketNeedsCapability(t *testing.T) {
	port := squat(t, "127.0.0.1")
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends without its capabilities
		dropCapabilities(t)
		raw := OpenRaw()
		defer raw.Close()
		_, err := OpenReply(netip.AddrPortFrom(loopback, port), raw)
		result <- err
	}()
	err := <-result
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("CAP_NET_RAW")) {
		t.Errorf("got %v, want an error that names CAP_NET_RAW", err)
	}
}

// dropCapabilities gives up all capabilities of the calling thread.
func dropCapabilities(t *testing.T) {
	none := [2]unix.CapUserData{}
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
		t.Error(err)
	}
}

// squat binds a port of all addresses exclusively, as a careless server does.
func squat(t *testing.T, addr string) (port uint16) {
	t.Helper()
	any := netip.IPv4Unspecified()
	if netip.MustParseAddr(addr).Is6() {
		any = netip.IPv6Unspecified()
	}
	return bindAny(t, openUDP(t, any), any).Port()
}

// TestRawSocketReceivesNothing: without its filter it would get all UDP packets to loopback.
func TestRawSocketReceivesNothing(t *testing.T) {
	needRoot(t)
	raw := OpenRaw()
	defer raw.Close()
	for _, text := range []string{"127.0.0.1", "::1"} {
		addr := netip.MustParseAddr(text)
		rawFD, err := raw.FD(addr)
		check(t, err)
		sender, receiver := openUDP(t, addr), openUDP(t, addr)
		to := bindAny(t, receiver, addr)
		check(t, unix.Sendto(sender, []byte("not for raw sockets"), 0, unixAddr(to)))
		check(t, unix.SetNonblock(receiver, false))
		check(t, unix.SetsockoptTimeval(receiver, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}))
		got := make([]byte, 100)
		n, _, err := unix.Recvfrom(receiver, got, 0) // the raw socket would have its copy by now
		if check(t, err); string(got[:n]) != "not for raw sockets" {
			t.Errorf("received %q", got[:n])
		}
		if n, _, err := unix.Recvfrom(rawFD, make([]byte, 100), unix.MSG_DONTWAIT); err != unix.EAGAIN {
			t.Errorf("%s: received %d bytes, %v", addr, n, err)
		}
	}
}
