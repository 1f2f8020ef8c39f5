//go:build !race

// The race detector has allocations of its own.

package udp

import (
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// connected is a socket that a test uses without litter.
func connected(t *testing.T, to netip.AddrPort) int {
	t.Helper()
	var d datagram.Dialer
	fd, err := d.Dial(to, nil)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	check(t, unix.SetNonblock(fd, false))
	return fd
}

// TestNoAllocations: a datagram of a live flow costs no allocation, there and back.
func TestNoAllocations(t *testing.T) {
	l, _, origin, dst := newTurns(t)
	client := connected(t, dst)
	exchange := func(from int, event unix.EpollEvent, to int) {
		buffer := [100]byte{}
		if _, err := unix.Write(from, buffer[:50]); err != nil {
			t.Fatal(err)
		}
		l.handle([]unix.EpollEvent{event}, 1)
		if n, err := unix.Read(to, buffer[:]); n != 50 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
	}
	_, err := unix.Write(client, []byte("hello"))
	check(t, err)
	turn(l, unix.EPOLLIN)
	_, source := origin.receive()
	raw, err := origin.SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) {
		check(t, unix.Connect(int(fd), unixAddr(source)))
		check(t, unix.SetNonblock(int(fd), false))
		f := l.flows.Find(flow.KeyOf(ownAddr(t, client), dst))
		there := unix.EpollEvent{Fd: int32(l.listener), Events: unix.EPOLLIN}
		back := unix.EpollEvent{Fd: f.Sockets.fd, Pad: int32(f.Sockets.generation), Events: unix.EPOLLIN}
		if n := testing.AllocsPerRun(100, func() {
			exchange(client, there, int(fd))
			exchange(int(fd), back, client)
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
	}))
}

func ownAddr(t *testing.T, fd int) netip.AddrPort {
	t.Helper()
	own, err := call.LocalAddr(fd)
	check(t, err)
	return own
}

// TestMemoryOfAnIdleFlow: half a KiB is what a flow may take that the kernel forwards, with the 48 bytes of
// package fastpath, its socket and its entries in the kernel aside; a client may take 190.
func TestMemoryOfAnIdleFlow(t *testing.T) {
	const n = 4000
	of := func(fast bool, header config.ProxyProtocol, client func(i int) netip.AddrPort) int {
		r := to(originAddr)
		r.ProxyProtocol = header
		f := newTestTable(n, live(r, dst1))
		before := inUse()
		for i := range n {
			k := flow.KeyOf(client(i), dst1)
			fl := f.datagram(k, 1, 1)
			if fl == nil {
				t.Fatal("the flow was refused")
			}
			f.FromOrigin(fl, append(fl.AppendHeader(nil), 0), 2)
			if fast {
				f.FastAsked(fl, 1, route.FastForwarded, 2)
			}
		}
		const owner = 32 // bytes in loop.owners
		each := int(inUse()-before)/n + owner
		runtime.KeepAlive(f)
		return each
	}
	ofOne := func(i int) netip.AddrPort { return netip.AddrPortFrom(client1.Addr(), uint16(20000+i)) }
	one, fast, spp := of(false, config.ProxyOff, ofOne), of(true, config.ProxyOff, ofOne), of(true, config.ProxySPP, ofOne)
	own := of(false, config.ProxyOff, func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 4000)
	})
	t.Logf("%d bytes a flow of one client, %d that the kernel forwards, %d with SPP, %d of a client of its own", one, fast, spp, own)
	if one > 400 || fast > 512-48 || spp > fast+8 || own > one+190 {
		t.Error("that is too much")
	}
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
