package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	"anyport/config"
	"anyport/proxy/header"
)

// askStream sends what there is to send, and reads as much as is expected.
func (c Check) askStream(conn net.Conn) error {
	if err := c.send(conn, config.Payload(c.Rules.Send)); err != nil {
		return err
	}
	want := config.Payload(c.Rules.Expect)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil {
		if n > 0 || err == io.EOF {
			return unexpected(got[:n])
		}
		return err
	}
	if !bytes.Equal(got, want) {
		return unexpected(got)
	}
	return nil
}

// send sends the header and payload in one write, if there is anything to send.
func (c Check) send(conn net.Conn, payload []byte) error {
	lead, err := header.Check(c.Header)
	if err != nil {
		return err
	}
	if len(lead)+len(payload) == 0 {
		return nil
	}
	_, err = conn.Write(append(lead, payload...))
	return err
}

// askDatagram sends one datagram, and waits for the answer to it.
func (c Check) askDatagram(conn net.Conn) error {
	own, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	lead, err := header.CheckDatagram(c.Header, own, c.To)
	if err != nil {
		return err
	}
	if _, err := conn.Write(append(lead, config.Payload(c.Rules.Send)...)); err != nil {
		return err
	}
	answer := make([]byte, 65535)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	got := answer[:n]
	if c.Header == config.ProxySPP {
		if got, err = header.CutSPP(got, lead); err != nil {
			return err
		}
	}
	if !bytes.HasPrefix(got, config.Payload(c.Rules.Expect)) {
		return unexpected(got)
	}
	return nil
}

// unexpected is the error for an answer that does not begin as expected.
func unexpected(got []byte) error {
	return fmt.Errorf("the answer begins with %q", got[:min(len(got), 32)])
}

// mostHTTPHead bounds what is read of a response.
const mostHTTPHead = 64 << 10

// askHTTP asks for the path. It is up with a status from 200 to 399; it follows no redirect.
func (c Check) askHTTP(conn net.Conn) error {
	host := c.To.String()
	if c.To.Port() == 80 {
		host = (&net.IPAddr{IP: c.To.Addr().AsSlice()}).String()
		if c.To.Addr().Is6() {
			host = "[" + host + "]"
		}
	}
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: anyport\r\nConnection: close\r\n\r\n", c.Rules.Path, host)
	if err := c.send(conn, []byte(request)); err != nil {
		return err
	}
	// The body is not read: closing it would wait for its end.
	response, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, mostHTTPHead)), nil)
	if err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}

// handshake makes a TLS handshake. As HAProxy's check-ssl by default, it accepts any certificate: the
// client verifies it, through the proxy.
func (c Check) handshake(ctx context.Context, conn net.Conn) error {
	if err := c.send(conn, nil); err != nil {
		return err
	}
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}).HandshakeContext(ctx)
}
