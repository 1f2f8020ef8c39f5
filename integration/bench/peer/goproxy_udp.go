package peer

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// flowKey is what makes a flow: by the client alone, two services that it asks
// would get each other's answers.
type flowKey struct{ client, dst netip.AddrPort }

// flows are those of the goroutine-per-flow proxy, by key: the conns to the origin.
type flows struct {
	sync.Mutex
	conns map[flowKey]*net.UDPConn
}

// flowIdle is how long a flow lives without an answer of the origin.
const flowIdle = time.Minute

// proxyDatagrams serves until it fails: one goroutine reads for all flows, as in most such proxies.
func proxyDatagrams(origin netip.Addr) error {
	file, err := transparentListener("udp", address4, false)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(int(file.Fd()), unix.SOL_IP, unix.IP_RECVORIGDSTADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	packets, err := net.FilePacketConn(file)
	if err != nil {
		return err
	}
	file.Close()
	listener := packets.(*net.UDPConn)
	all := &flows{conns: make(map[flowKey]*net.UDPConn)}
	buf, control := make([]byte, 1<<16), make([]byte, 128)
	for {
		n, nn, _, client, err := listener.ReadMsgUDPAddrPort(buf, control)
		if err != nil {
			return err
		}
		dst, err := originalDst(control[:nn])
		if err != nil {
			return err
		}
		if conn, err := all.find(flowKey{client, dst}, origin); err == nil {
			conn.Write(buf[:n])
		}
	}
}

// originalDst reads IP_ORIGDSTADDR.
func originalDst(control []byte) (netip.AddrPort, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for i := range messages {
		dst, err := unix.ParseOrigDstAddr(&messages[i])
		if v4, ok := dst.(*unix.SockaddrInet4); ok && err == nil {
			return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), uint16(v4.Port)), nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("a datagram without its dst")
}

// find returns the conn to the origin of a flow, and begins the flow if it is new.
func (f *flows) find(key flowKey, origin netip.Addr) (*net.UDPConn, error) {
	f.Lock()
	defer f.Unlock()
	if conn, ok := f.conns[key]; ok {
		return conn, nil
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(origin, key.dst.Port())))
	if err != nil {
		return nil, err
	}
	f.conns[key] = conn
	go f.answer(key, conn) // ends when the flow is idle
	return conn, nil
}

// answer sends what comes from the origin from the dst, until nothing has come for
// flowIdle.
func (f *flows) answer(key flowKey, conn *net.UDPConn) {
	defer conn.Close()
	defer f.forget(key)
	reply, err := boundTo(key.dst)
	if err != nil {
		return
	}
	defer reply.Close()
	for buf := make([]byte, 2048); ; {
		conn.SetReadDeadline(time.Now().Add(flowIdle))
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		reply.WriteToUDPAddrPort(buf[:n], key.client)
	}
}

// forget makes the next datagram of that client begin a flow again.
func (f *flows) forget(key flowKey) {
	f.Lock()
	defer f.Unlock()
	delete(f.conns, key)
}

// boundTo opens a socket that sends from an address that is not this host's.
func boundTo(dst netip.AddrPort) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1)
		})
	}}
	conn, err := config.ListenPacket(context.Background(), "udp4", dst.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}
