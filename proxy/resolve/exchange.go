package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"
)

// transport is how one question is sent.
type transport struct {
	tcp, edns bool
	timeout   time.Duration
}

// udpSize is the largest answer over UDP that is asked for: one that no path has to fragment (the value
// of DNS Flag Day 2020).
const udpSize = 1232

// overNetwork sends q to server. Each question has a socket of its own, whose port the kernel draws by
// lot, and a random id: who cannot see the question has to guess both (RFC 5452).
func overNetwork(ctx context.Context, server string, q question, how transport) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, how.timeout)
	defer cancel()
	network := "udp"
	if how.tcp {
		network = "tcp"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// A Read in progress ends with ctx.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	answer, err := converse(&dns.Conn{Conn: conn, UDPSize: udpSize}, q, how)
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		return nil, fmt.Errorf("no answer over %s within %v", network, how.timeout)
	}
	return answer, err
}

// converse writes the question, and reads until a message answers it. What does not match is left
// aside: if it ended the wait, anybody could make a name fail by guessing.
func converse(conn *dns.Conn, q question, how transport) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.kind)
	if how.edns {
		m.SetEdns0(udpSize, false)
	}
	if err := conn.WriteMsg(m); err != nil {
		return nil, err
	}
	for {
		answer, err := conn.ReadMsg()
		var broken net.Error
		switch {
		case errors.As(err, &broken), how.tcp && err != nil:
			return nil, err
		case answer != nil && matches(answer, m.Id, q) && (err == nil || answer.Truncated):
			return answer, nil // one that was cut in the middle of a record is not whole, either
		}
	}
}
