package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"
)

// serve accepts TCP connections until the test ends and hands each to its own
// goroutine, which ends with the connection.
func (h *host) serve(t *testing.T, address string, handle func(net.Conn)) {
	t.Helper()
	listener := h.listen(t, address)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
}

// answer replies to every datagram with the result of reply, until the test ends; nil
// means no reply. It returns the socket.
func (h *host) answer(t *testing.T, address string, reply func(datagram []byte) []byte) *net.UDPConn {
	t.Helper()
	return h.answerTo(t, address, func(datagram []byte, _ netip.AddrPort) []byte { return reply(datagram) })
}

// answerTo is answer with a reply function that also gets the client's address.
func (h *host) answerTo(t *testing.T, address string, reply func(datagram []byte, from netip.AddrPort) []byte) *net.UDPConn {
	t.Helper()
	conn := h.listenPacket(t, address)
	conn.SetReadBuffer(4 << 20)
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			if r := reply(buffer[:n], from); r != nil {
				conn.WriteToUDPAddrPort(r, from)
			}
		}
	}()
	return conn
}

// both serves a one-line question over TCP and UDP at one address.
func (h *host) both(t *testing.T, address string, reply func([]byte) []byte) {
	t.Helper()
	h.serve(t, address, func(conn net.Conn) { replyOnce(conn, reply) })
	h.answer(t, address, reply)
}

// replyOnce reads all up to the first newline, answers and closes.
func replyOnce(conn net.Conn, reply func([]byte) []byte) {
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err == nil {
		conn.Write(reply(line))
	}
}

// named answers every question with a name and the question.
func named(name string) func([]byte) []byte {
	return func(question []byte) []byte { return append([]byte(name+" "), question...) }
}

// echo sends everything back and closes when its peer does.
func echo(conn net.Conn) { io.Copy(conn, conn) }

// witness reads a PROXY header and a question and answers with the header's content:
// "client dst question".
func witness(conn net.Conn) {
	reader := bufio.NewReader(conn)
	header, err := proxyproto.Read(reader)
	if err != nil {
		fmt.Fprintln(conn, err)
		return
	}
	line, err := reader.ReadString('\n')
	if err == nil {
		io.WriteString(conn, testimony(header, line))
	}
}

// witnessDatagram is witness for a datagram that carries a header.
func witnessDatagram(datagram []byte) []byte {
	reader := bufio.NewReaderSize(bytes.NewReader(datagram), len(datagram)+16)
	header, err := proxyproto.Read(reader)
	if err != nil {
		return []byte(err.Error())
	}
	rest, _ := io.ReadAll(reader)
	return []byte(testimony(header, string(rest)))
}

func testimony(header *proxyproto.Header, question string) string {
	return fmt.Sprintf("%v %v %v %s", header.TransportProtocol, header.SourceAddr, header.DestinationAddr, question)
}

// expected is the answer of a witness that got the right header.
func expected(network string, client, dst netip.AddrPort, question string) string {
	transport := map[string]proxyproto.AddressFamilyAndProtocol{
		"tcp4": proxyproto.TCPv4, "tcp6": proxyproto.TCPv6, "udp4": proxyproto.UDPv4, "udp6": proxyproto.UDPv6,
	}[network]
	return fmt.Sprintf("%v %v %v %s", transport, client, dst, question)
}
