package resolve

import (
	"context"
	"errors"
	"fmt"

	"github.com/miekg/dns"
)

// exchange puts one question to one server and returns the message that answers it: [overNetwork], or in
// tests a script.
type exchange func(ctx context.Context, server string, q question, how transport) (*dns.Msg, error)

// ask puts q to the servers in turn, as often as resolv.conf says, until one of them knows.
func ask(ctx context.Context, s settings, q question, x exchange) (r reply, server string, err error) {
	failed := make([]error, len(s.servers))
	for range s.attempts {
		for i, server := range s.servers {
			if r, err = askServer(ctx, server, q, transport{timeout: s.timeout, edns: true}, x); err == nil {
				return r, server, nil
			}
			if ctx.Err() != nil {
				return r, "", ctx.Err()
			}
			failed[i] = fmt.Errorf("%s: %w", server, err)
		}
	}
	return r, "", errors.Join(failed...)
}

// askServer asks over UDP, without EDNS0 if the server does not know it (RFC 6891 §7), and over TCP if
// the answer was truncated (RFC 7766 §5).
func askServer(ctx context.Context, server string, q question, how transport, x exchange) (reply, error) {
	m, err := x(ctx, server, q, how)
	if err == nil && how.edns && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		how.edns = false
		m, err = x(ctx, server, q, how)
	}
	if err == nil && m.Truncated {
		how.tcp = true
		m, err = x(ctx, server, q, how)
	}
	if err != nil {
		return reply{}, err
	}
	return readReply(m, q)
}
