package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
	"golang.org/x/sync/errgroup"
)

// originTimeout bounds a conn's whole life at the origin, which is one question and one answer.
const originTimeout = tcpTimeout

// origin answers one line or datagram with the client and dst of its PROXY header, and the text.
type origin struct {
	tcp *net.TCPListener
	udp *net.UDPConn
}

// listen opens both sockets of the origin, or none.
func listen(at netip.AddrPort) (*origin, error) {
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("the demo's origin: %w", err)
	}
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		tcp.Close()
		return nil, fmt.Errorf("the demo's origin: %w", err)
	}
	// Best effort: a lost datagram is asked for again.
	_ = udp.SetReadBuffer(4 << 20)
	return &origin{tcp, udp}, nil
}

// serve answers until ctx is done.
func (o *origin) serve(ctx context.Context) error {
	var loops errgroup.Group
	loops.Go(o.serveTCP)
	loops.Go(o.serveUDP)
	<-ctx.Done()
	o.tcp.Close()
	o.udp.Close()
	return loops.Wait()
}

// serveTCP accepts until the listener is closed.
func (o *origin) serveTCP() error {
	for {
		conn, err := o.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			continue // of one conn, which its client will miss
		}
		// Ended by its client, or by originTimeout.
		go echo(conn)
	}
}

// echo answers one conn: the header comes first, then one line.
func echo(conn net.Conn) {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(originTimeout)) != nil {
		return
	}
	reader := bufio.NewReader(conn)
	header, err := proxyproto.Read(reader)
	if err != nil {
		fmt.Fprintf(conn, "no PROXY header: %v\n", err)
		return
	}
	said, err := reader.ReadString('\n')
	if err != nil {
		return
	}
	fmt.Fprint(conn, answerText(header, said))
}

// serveUDP answers until the socket is closed.
func (o *origin) serveUDP() error {
	b := make([]byte, 65535)
	for {
		n, from, err := o.udp.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			continue // an ICMP error for an earlier answer
		}
		// Errors show as a missing answer.
		_, _ = o.udp.WriteToUDPAddrPort([]byte(echoDatagram(b[:n])), from)
	}
}

// echoDatagram is the answer to one datagram, which begins with a header of its own.
func echoDatagram(b []byte) string {
	reader := bufio.NewReader(bytes.NewReader(b))
	header, err := proxyproto.Read(reader)
	if err != nil {
		return fmt.Sprintf("no PROXY header: %v\n", err)
	}
	said, err := reader.ReadString('\n')
	if err != nil {
		return "the datagram is cut\n"
	}
	return answerText(header, said)
}
