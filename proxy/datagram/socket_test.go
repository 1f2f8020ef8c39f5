package datagram

import (
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

var (
	loopback   = netip.MustParseAddr("127.0.0.1")
	originAddr = netip.MustParseAddrPort("10.0.0.5:9000")
	dst1       = netip.MustParseAddrPort("192.0.2.1:53")
	dst6       = netip.MustParseAddrPort("[2001:db8::1]:53")
	client1    = netip.MustParseAddrPort("198.51.100.1:4000")
	client6    = netip.MustParseAddrPort("[2001:db8:9::1]:4000")
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// needRoot skips a test that can't do without; REQUIRE_ROOT=1 makes that a failure.
func needRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("REQUIRE_ROOT") == "1":
		t.Fatal("needs root")
	default:
		t.Skip("needs root")
	}
}

// openUDP opens a socket of addr's family, which no address is bound to.
func openUDP(t *testing.T, addr netip.Addr) int {
	t.Helper()
	family, _, _ := ipOptions(addr, 0, 0)
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// bindAny binds fd to a free port of addr.
func bindAny(t *testing.T, fd int, addr netip.Addr) netip.AddrPort {
	t.Helper()
	check(t, unix.Bind(fd, unixAddr(netip.AddrPortFrom(addr, 0))))
	local, err := call.LocalAddr(fd)
	check(t, err)
	return local
}

// closedPort returns an address that no socket is bound to.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	return bindAny(t, fd, loopback)
}

func unixAddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
