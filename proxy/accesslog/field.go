package accesslog

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// lineKinds is a set of kinds of lines.
type lineKinds uint8

// The kinds of lines. The word of each is the field event.
const (
	endLine      lineKinds = 1 << iota // a conn or flow has ended
	progressLine                       // it goes on
	refusedLine                        // those that were refused alike in a second

	ofOne  = endLine | progressLine
	inEach = ofOne | refusedLine
)

func (k lineKinds) event() string {
	switch k {
	case endLine:
		return "end"
	case progressLine:
		return "progress"
	}
	return "refused"
}

// entry is what one line is about.
type entry struct {
	*route.Record
	kind   lineKinds
	ending route.Ending
	sum    *sum // of a refusedLine; else nil
}

func entryOf(r *route.Record) entry {
	if r.Live {
		return entry{Record: r, kind: progressLine}
	}
	return entry{Record: r, kind: endLine, ending: r.Ending()}
}

// at is the time of the line.
func (e *entry) at() time.Time { return e.Begun.Add(e.Took) }

// field is one field of a line.
type field struct {
	name   string
	in     lineKinds
	number bool // in JSON; else it is a string
	about  string
	value  func(b []byte, e *entry) []byte // appends the value, and nothing if there is none: the line then lacks the field
}

// timeForm is RFC 3339 with milliseconds.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

// fields are all fields, in the order of a line. A new one goes to the end of its kind: programs may take
// the fields of a line by their place.
var fields = []field{
	{"time", inEach, false, "the end of the conn or flow; of a progress line the time of the line; of a sum the last refusal", func(b []byte, e *entry) []byte {
		return e.at().AppendFormat(b, timeForm)
	}},
	{"event", inEach, false, "`end`, `progress` (it goes on) or `refused` (a sum)", func(b []byte, e *entry) []byte {
		return append(b, e.kind.event()...)
	}},
	{"id", ofOne, false, "of the conn or flow: 16 hexadecimal digits, the same in all its lines, in `anyport flows` and after an upgrade", func(b []byte, e *entry) []byte {
		return e.ID.AppendTo(b)
	}},
	{"protocol", inEach, false, "`tcp` or `udp`", func(b []byte, e *entry) []byte {
		return append(b, e.Protocol.String()...)
	}},
	{"route", inEach, false, "the name of the route; empty if no route forwards dst", func(b []byte, e *entry) []byte {
		return append(b, e.Route...)
	}},
	{"client", inEach, false, "address and port of the client; in a sum the first client: an IPv4 address or an IPv6 /64", func(b []byte, e *entry) []byte {
		if e.sum != nil {
			return append(b, clientText(e.sum.client)...)
		}
		return appendAddr(b, e.Client)
	}},
	{"dst", inEach, false, "address and port that the client asked for; in a sum those of the first", func(b []byte, e *entry) []byte {
		return appendAddr(b, e.Dst)
	}},
	{"origin", ofOne, false, "address and port of the origin; of one that was not reached the last that was tried; empty if none was", func(b []byte, e *entry) []byte {
		return appendAddr(b, e.Origin)
	}},
	{"source", ofOne, false, "address and port that the origin was dialled from; `0.0.0.0` or `[::]` for flows that share a socket (SPP)", func(b []byte, e *entry) []byte {
		return appendAddr(b, e.Source)
	}},
	{"seconds", ofOne, true, "how long it has lived", func(b []byte, e *entry) []byte {
		return appendSeconds(b, e.Took)
	}},
	{"connect_us", ofOne, true, "TCP: microseconds from the dial until the origin accepted", func(b []byte, e *entry) []byte {
		return appendMicroseconds(b, e.Connect)
	}},
	{"attempts", ofOne, true, "origins that were tried", func(b []byte, e *entry) []byte {
		return strconv.AppendInt(b, int64(e.Attempts), 10)
	}},
	{"to_origin", ofOne, true, "bytes of payload to the origin", func(b []byte, e *entry) []byte {
		return strconv.AppendUint(b, e.Sent[route.ToOrigin].Bytes, 10)
	}},
	{"to_client", ofOne, true, "bytes of payload to the client", func(b []byte, e *entry) []byte {
		return strconv.AppendUint(b, e.Sent[route.ToClient].Bytes, 10)
	}},
	{"packets_to_origin", ofOne, true, "datagrams to the origin; TCP: segments with data, those that were sent again included", func(b []byte, e *entry) []byte {
		return strconv.AppendUint(b, e.Sent[route.ToOrigin].Packets, 10)
	}},
	{"packets_to_client", ofOne, true, "the same to the client", func(b []byte, e *entry) []byte {
		return strconv.AppendUint(b, e.Sent[route.ToClient].Packets, 10)
	}},
	{"origin_rtt_us", ofOne, true, "TCP: smoothed round-trip time to the origin, in microseconds, as the kernel measured it (TCP_INFO)", func(b []byte, e *entry) []byte {
		return appendMicroseconds(b, e.Sent[route.ToOrigin].RTT)
	}},
	{"client_rtt_us", ofOne, true, "the same to the client", func(b []byte, e *entry) []byte {
		return appendMicroseconds(b, e.Sent[route.ToClient].RTT)
	}},
	{"verdict", inEach, false, "how it ended: see below; `admitted` in a progress line", func(b []byte, e *entry) []byte {
		return append(b, e.Verdict.String()...)
	}},
	{"state", endLine | refusedLine, false, "who ended it, and in which phase: HAProxy's two letters", func(b []byte, e *entry) []byte {
		return e.ending.AppendState(b)
	}},
	{"ended_by", endLine | refusedLine, false, "the first letter as a word", func(b []byte, e *entry) []byte {
		return append(b, e.ending.By.String()...)
	}},
	{"phase", endLine | refusedLine, false, "the second letter as a word", func(b []byte, e *entry) []byte {
		return append(b, e.ending.Phase.String()...)
	}},
	{"error", ofOne, false, "why the origin did not take it: `refused`, `timeout`, `unreachable`, `reset`, `dns`, `header` or `local`", func(b []byte, e *entry) []byte {
		return append(b, e.Error.String()...)
	}},
	{"errno", ofOne, false, "the error of the kernel behind it, such as `ECONNREFUSED`", func(b []byte, e *entry) []byte {
		return append(b, unix.ErrnoName(e.Errno)...)
	}},
	{"peer", ofOne, false, "routes with `accept_proxy`: the load balancer that named the client", func(b []byte, e *entry) []byte {
		return appendAddr(b, e.Peer)
	}},
	{"unique_id", ofOne, false, "routes with `\"unique-id\"`: the id in the header that the origin got, which is `id` unless the peer has sent one; hexadecimal if it is not printable ASCII", func(b []byte, e *entry) []byte {
		return append(b, uniqueIDText(e.UniqueID)...)
	}},
	{"path", ofOne, false, "UDP: who forwarded its datagrams: `user` (this process), `kernel` (the fast path) or `both`", func(b []byte, e *entry) []byte {
		return append(b, e.Path.String()...)
	}},
	{"count", refusedLine, true, "how many were refused", func(b []byte, e *entry) []byte {
		return strconv.AppendUint(b, e.sum.count, 10)
	}},
	{"clients", refusedLine, true, "how many clients they came from; 64: or more", func(b []byte, e *entry) []byte {
		return strconv.AppendInt(b, int64(len(e.sum.clients)), 10)
	}},
}

// always are fields whose empty value is one: no route, no origin.
func (f *field) always() bool { return f.name == "route" || f.name == "origin" }

func appendAddr(b []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return b
	}
	return a.AppendTo(b)
}

// appendMicroseconds appends nothing for 0: it was not measured.
func appendMicroseconds(b []byte, d time.Duration) []byte {
	if d <= 0 {
		return b
	}
	return strconv.AppendInt(b, d.Microseconds(), 10)
}

// appendSeconds appends seconds with up to six decimals, without an exponent.
func appendSeconds(b []byte, d time.Duration) []byte {
	µs := max(d.Microseconds(), 0)
	b = strconv.AppendInt(b, µs/1e6, 10)
	if µs %= 1e6; µs == 0 {
		return b
	}
	b = append(b, '.')
	for digit := int64(1e5); µs > 0; digit /= 10 {
		b = append(b, byte('0'+µs/digit))
		µs %= digit
	}
	return b
}

// uniqueIDText is an id as it is, if it is printable ASCII without spaces, and otherwise in hexadecimal.
func uniqueIDText(id string) string {
	if strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return hex.EncodeToString([]byte(id))
	}
	return id
}
