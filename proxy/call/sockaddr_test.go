package tcp

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// What the kernel reads of a sockaddr is what it tells of the socket that was
// bound with it: to x/sys/unix, and to us.
func TestSockaddrIsTheKernels(t *testing.T) {
	for _, text := range []string{"127.0.0.1", "127.255.3.4", "::1", "::ffff:127.0.0.1"} {
		want := netip.MustParseAddr(text)
		fd, err := socket(family(want))
		if err == unix.EAFNOSUPPORT {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		name := sockaddrOf(netip.AddrPortFrom(want, 0))
		if err := call.Bind(fd, name.slice()); err == unix.EADDRNOTAVAIL {
			continue // no IPv6 here
		} else if err != nil {
			t.Fatal(text, err)
		}
		theirs, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := local(fd)
		if err != nil || ours != unixAddrPort(theirs) || ours.Addr() != want.Unmap() || ours.Port() == 0 {
			t.Errorf("bound to %s: local says %v, %v; unix.Getsockname %v", text, ours, err, theirs)
		}
	}
}

func unixAddrPort(s unix.Sockaddr) netip.AddrPort {
	switch a := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

func TestSockaddrRoundTrip(t *testing.T) {
	for _, text := range []string{"192.0.2.1:1", "255.255.255.255:65535", "[2001:db8::1]:258", "[::]:0"} {
		want := netip.MustParseAddrPort(text)
		if s := sockaddrOf(want); s.addrPort() != want {
			t.Errorf("%v came back as %v", want, s.addrPort())
		}
	}
}

// A name of no family that conns have is none at all.
func TestSockaddrOfAnotherFamily(t *testing.T) {
	s := sockaddr{0: unix.AF_UNIX}
	if got := s.addrPort(); got.IsValid() {
		t.Errorf("a unix socket is at %v", got)
	}
}
