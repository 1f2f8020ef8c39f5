package tcp_test

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// listen returns a raw non-blocking listener, as steering makes them.
func listen(t *testing.T, at netip.AddrPort) (fd int, addr string) {
	t.Helper()
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip("no socket of this family:", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, to); err != nil {
		t.Skip("no loopback of this family:", err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return fd, netip.AddrPortFrom(at.Addr(), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return fd, netip.AddrPortFrom(at.Addr().Unmap(), uint16(a.Port)).String()
	}
	return fd, ""
}

// origin answers conns with handle, each in a goroutine that the test waits for.
func origin(t *testing.T, handle func(c *net.TCPConn)) (addr string) {
	t.Helper()
	tidy(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// accepting is an origin whose conns the test handles itself.
func accepting(t *testing.T) (addr string, conns <-chan *net.TCPConn) {
	taken, done := make(chan *net.TCPConn), make(chan struct{})
	addr = origin(t, func(c *net.TCPConn) {
		select {
		case taken <- c:
			<-done
		case <-done:
		}
	})
	t.Cleanup(func() { close(done) })
	return addr, taken
}

// closed is an address that refuses.
func closed(t *testing.T) (addr string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port)).String()
}

// silent is an address that never answers: its listener's filter drops each SYN.
func silent(t *testing.T) (addr string) {
	t.Helper()
	fd, addr := listen(t, netip.MustParseAddrPort("127.0.0.1:0"))
	dropAll := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &dropAll[0]}); err != nil {
		t.Fatal(err)
	}
	return addr
}
