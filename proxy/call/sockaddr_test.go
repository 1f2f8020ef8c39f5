package call

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel reports a socket's address as it was bound, to x/sys/unix and to LocalAddr.
func TestSockaddrIsTheKernels(t *testing.T) {
	for _, text := range []string{"127.0.0.1", "127.255.3.4", "::1", "::ffff:127.0.0.1"} {
		want := netip.MustParseAddr(text)
		fd, err := Socket(Family(want), unix.SOCK_STREAM, unix.IPPROTO_TCP)
		if err == unix.EAFNOSUPPORT {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		name := SockaddrOf(netip.AddrPortFrom(want, 0))
		if err := Bind(fd, name.Bytes()); err == unix.EADDRNOTAVAIL {
			continue // no IPv6 here
		} else if err != nil {
			t.Fatal(text, err)
		}
		theirs, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := LocalAddr(fd)
		if err != nil || ours != unixAddrPort(theirs) || ours.Addr() != want.Unmap() || ours.Port() == 0 {
			t.Errorf("bound to %s: LocalAddr says %v, %v; unix.Getsockname %v", text, ours, err, theirs)
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
		if s := SockaddrOf(want); s.AddrPort() != want {
			t.Errorf("%v came back as %v", want, s.AddrPort())
		}
	}
}

// A socket address of another family is not valid.
func TestSockaddrOfAnotherFamily(t *testing.T) {
	s := Sockaddr{bytes: [28]byte{0: unix.AF_UNIX}, length: 28}
	if got := s.AddrPort(); got.IsValid() {
		t.Errorf("a unix socket is at %v", got)
	}
}

// What ParseSockaddr reads is what Sockaddr wrote, and it reads no struct that is cut off.
func FuzzSockaddr(f *testing.F) {
	for _, text := range []string{"192.0.2.1:1", "[2001:db8::1]:258", "[fe80::1%7]:65535"} {
		s := SockaddrOf(netip.MustParseAddrPort(text))
		f.Add(s.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, ok := ParseSockaddr(b)
		if !ok {
			if e != (Endpoint{}) {
				t.Errorf("%x is not ok and is %v", b, e)
			}
			return
		}
		s := e.Sockaddr()
		if netip.AddrFrom16(e.Addr).Is4In6() {
			e.Zone = 0 // a sockaddr_in has none
		}
		if again, ok := ParseSockaddr(s.Bytes()); !ok || again != e {
			t.Errorf("%v came back as %v, %v", e, again, ok)
		}
		if a := e.AddrPort(); a.Addr().Is4In6() || a.Addr().Zone() != "" || e.Zone == 0 && EndpointOf(a) != e {
			t.Errorf("%v is %v", e, a)
		}
		if _, ok := ParseSockaddr(s.Bytes()[:len(s.Bytes())-1]); ok {
			t.Errorf("a byte less than %v is read too", e)
		}
	})
}

func TestSockaddrZone(t *testing.T) {
	s := SockaddrOf(netip.MustParseAddrPort("[fe80::1%lo]:1"))
	e, ok := ParseSockaddr(s.Bytes())
	if device, err := net.InterfaceByName("lo"); err != nil || !ok || e.Zone != uint32(device.Index) {
		t.Errorf("the zone lo is %d, want %v (%v)", e.Zone, device, err)
	}
}
