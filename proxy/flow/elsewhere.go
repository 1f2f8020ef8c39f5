package flow

import (
	"encoding/binary"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// MayBeElsewhere reports whether the datagram that k comes with may be of a flow that another host has, and
// how long that may be without a datagram. One that begins no flow here may be of such a flow, too, if only
// because this host drains. A client without an address of its own can't be asked about.
func (t *Table[S]) MayBeElsewhere(k Key) (idle time.Duration, ok bool) {
	if !IsOwn(k) {
		return 0, false
	}
	r := t.opt.Routes.Set().Lookup(config.UDP, k.Client.AddrPort().Addr(), k.Dst.AddrPort())
	if v := t.byRules(r, k); v != route.Admitted && v != route.Draining {
		return 0, false
	}
	return r.FlowIdle(k.Dst.Port), true
}

// IsOwn reports whether the addresses of k tell a flow apart from those of all hosts.
func IsOwn(k Key) bool { return !k.named() && k.Client.Zone == 0 && k.Dst.Zone == 0 }

// What a datagram has at least: QUIC's first byte and a sample that protects the header (RFC 9001, section
// 5.4.2); the header of DNS.
const (
	leastQUIC = 1 + 4 + 16
	headerDNS = 12
)

// IsShortHeader reports whether a datagram looks like a packet of QUIC with a short header: of a
// connection whose handshake is over (RFC 9000, section 17.3.1). The query of a DNS client, whose first
// bytes are random, does not: it has one question and no answers. A peer that has sent grease_quic_bit may get
// packets that do not look like it (RFC 9287).
func IsShortHeader(b []byte) bool {
	return len(b) >= leastQUIC && b[0]&0xc0 == 0x40 && !isQuery(b)
}

// isQuery reports whether a datagram of headerDNS bytes or more has the header of a DNS query.
func isQuery(b []byte) bool {
	const response = 0x80
	return b[2]&response == 0 && binary.BigEndian.Uint64(b[4:])>>16 == 1<<32
}
