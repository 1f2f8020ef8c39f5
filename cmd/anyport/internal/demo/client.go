package demo

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How long an answer may take, also on a machine that is busy with other things, and how often a
// datagram is sent: UDP may lose some.
const (
	tcpTimeout = 30 * time.Second
	udpTimeout = 500 * time.Millisecond
	udpTries   = 40
)

// asker makes exchanges from one client address, one at a time. It belongs to one goroutine.
type asker interface {
	ask(ctx context.Context, dst netip.AddrPort, say string) (answer, error)
	close()
}

// newAsker makes an asker that sends from client.
func newAsker(network string, client netip.Addr) (asker, error) {
	if network == "tcp" {
		return tcpAsker{client}, nil
	}
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(client, 0)))
	if err != nil {
		return nil, fmt.Errorf("the demo's client: %w", err)
	}
	return udpAsker{socket}, nil
}

// tcpAsker makes a conn for each exchange.
type tcpAsker struct{ client netip.Addr }

// ask makes a conn, says one line and reads the answer.
func (a tcpAsker) ask(ctx context.Context, dst netip.AddrPort, say string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, tcpTimeout)
	defer cancel()
	dialer := net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.client, 0)),
		Control:   lateBind,
	}
	conn, err := dialer.DialContext(ctx, "tcp", dst.String())
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(tcpTimeout)); err != nil {
		return answer{}, err
	}
	if _, err := fmt.Fprintln(conn, say); err != nil {
		return answer{}, err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return answer{}, err
	}
	got, err := parseAnswer(line)
	if err != nil {
		return got, err
	}
	return got, got.check(conn.LocalAddr().(*net.TCPAddr).AddrPort(), dst, say)
}

// close has nothing to close: each conn is closed by ask.
func (tcpAsker) close() {}

// lateBind leaves the choice of the port to connect(2), which can use one port
// towards many dsts: a sweep makes more conns than there are ephemeral ports.
func lateBind(_, _ string, c syscall.RawConn) error {
	var err error
	if controlErr := c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1))
	}); controlErr != nil {
		return controlErr
	}
	return err
}

// udpAsker asks every dst from one socket.
type udpAsker struct{ socket *net.UDPConn }

// ask sends the same datagram again until an answer comes: UDP may lose some.
func (a udpAsker) ask(ctx context.Context, dst netip.AddrPort, say string) (got answer, err error) {
	for range udpTries {
		if err := ctx.Err(); err != nil {
			return got, err
		}
		if _, err = a.socket.WriteToUDPAddrPort([]byte(say+"\n"), dst); err != nil {
			return got, err
		}
		if got, err = a.wait(dst, say); !os.IsTimeout(err) {
			return got, err
		}
	}
	return got, fmt.Errorf("no answer in %d tries", udpTries)
}

// wait reads the answer. An answer to an earlier question is skipped, if it came from the dst of that.
func (a udpAsker) wait(dst netip.AddrPort, say string) (answer, error) {
	if err := a.socket.SetReadDeadline(time.Now().Add(udpTimeout)); err != nil {
		return answer{}, err
	}
	var b [2048]byte
	client := a.socket.LocalAddr().(*net.UDPAddr).AddrPort()
	for {
		n, from, err := a.socket.ReadFromUDPAddrPort(b[:])
		if err != nil {
			return answer{}, err
		}
		got, err := parseAnswer(string(b[:n]))
		if err != nil {
			return got, err
		}
		if from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()); from != got.dst {
			return got, fmt.Errorf("the answer for %v came from %v", got.dst, from)
		}
		if got.dst == dst {
			return got, got.check(client, dst, say)
		}
	}
}

func (a udpAsker) close() { a.socket.Close() }
