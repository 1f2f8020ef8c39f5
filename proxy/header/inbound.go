package header

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"anyport/config"
)

// Inbound is a PROXY header that a peer has sent, of version 1 or 2. It is parsed here and not by
// go-proxyproto, which reads from a bufio.Reader: an event loop has bytes, and must know how many
// of them are the header. The tests compare the two.
type Inbound struct {
	// Client and Dst are what the header names: both valid, of one family unless one of them was an
	// IPv4-mapped address, or both the zero value. The zero value stands for LOCAL, UNKNOWN, UNSPEC
	// and the protocols that fall back to UNSPEC: then the socket's own addresses apply.
	Client, Dst netip.AddrPort

	Size int    // bytes of the header; what follows is payload
	TLVs []byte // of v2, well-formed; they point into the bytes that were parsed
}

// Named reports whether the header names a client.
func (h Inbound) Named() bool { return h.Client.IsValid() }

// MaxInbound is the size of the longest header: v2 counts what follows its first 16 bytes in 16 bits.
const MaxInbound = v2Fixed + 65535

const (
	v1Most  = 107 // bytes, with CRLF: "PROXY UNKNOWN" and two IPv6 addresses (section 2.1)
	v2Fixed = 16
)

var (
	v1Start   = []byte("PROXY ")
	v1Unknown = []byte("PROXY UNKNOWN")
	v2Start   = []byte("\r\n\r\n\x00\r\nQUIT\n")
	crlf      = []byte("\r\n")
)

// ErrInbound is the error of bytes that are not a PROXY header, and never will be.
var ErrInbound = errors.New("not a valid PROXY header")

func bad(why string, args ...any) error {
	return fmt.Errorf("%w: "+why, append([]any{ErrInbound}, args...)...)
}

// ParseStream reads the header that begins a conn. If b has only a part of it, need is more than
// len(b): the least number of bytes to wait for.
func ParseStream(b []byte) (h Inbound, need int, err error) {
	switch {
	case beginsLike(b, v2Start):
		return parseV2(b, config.TCP)
	case beginsLike(b, v1Start):
		return parseV1(b)
	}
	return h, 0, bad("it begins with %q", b[:min(len(b), v2Fixed)])
}

// ParseDatagram reads the header at the start of a datagram. Only v2 can be there: v1 is for TCP
// (section 2.1).
func ParseDatagram(b []byte) (Inbound, error) {
	if len(b) < v2Fixed || !bytes.HasPrefix(b, v2Start) {
		return Inbound{}, bad("the datagram does not begin with one of version 2")
	}
	h, need, err := parseV2(b, config.UDP)
	if err == nil && need > len(b) {
		err = bad("it says that it has %d bytes, and the datagram has %d", need, len(b))
	}
	return h, err
}

// beginsLike reports whether b begins with start, or is a part of it.
func beginsLike(b, start []byte) bool {
	n := min(len(b), len(start))
	return bytes.Equal(b[:n], start[:n])
}

// parseV1 reads a line of version 1 (section 2.1).
func parseV1(b []byte) (h Inbound, need int, err error) {
	line, _, complete := bytes.Cut(b[:min(len(b), v1Most)], crlf)
	switch {
	case !complete && len(b) >= v1Most:
		return h, 0, bad("no CRLF in its first %d bytes", v1Most)
	case !complete && !bytes.HasPrefix(b, v1Unknown) && lineIsBroken(b):
		return h, 0, bad("a CR or LF alone")
	case !complete:
		return h, len(b) + 1, nil
	}
	h.Size = len(line) + len(crlf)
	fields := bytes.Split(line, []byte(" "))
	switch kind := string(fields[1]); {
	case kind == "UNKNOWN": // the receiver must ignore the rest of the line
		return h, h.Size, nil
	case kind != "TCP4" && kind != "TCP6":
		return h, 0, bad("%q is not TCP4, TCP6 or UNKNOWN", kind)
	case len(fields) != 6:
		return h, 0, bad("a line of %d fields", len(fields))
	}
	v4 := string(fields[1]) == "TCP4"
	if h.Client, err = v1Addr(fields[2], fields[4], v4); err != nil {
		return h, 0, err
	}
	if h.Dst, err = v1Addr(fields[3], fields[5], v4); err != nil {
		return h, 0, err
	}
	return h, h.Size, nil
}

// lineIsBroken reports whether a line without CRLF has a CR or LF that is not a part of one.
func lineIsBroken(b []byte) bool {
	at := bytes.IndexAny(b, "\r\n")
	return at >= 0 && (b[at] == '\n' || at < len(b)-1)
}

// v1Addr reads an address and its port. netip.ParseAddr refuses leading zeros in IPv4 addresses, as
// section 2.1 does. It accepts ::ffff:192.0.2.1, which inet_ntop(3) of a sender writes.
func v1Addr(addr, port []byte, v4 bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(string(addr))
	if err != nil || a.Is4() != v4 || a.Zone() != "" {
		return netip.AddrPort{}, bad("%q is not an address of its family", addr)
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	if err != nil || string(port) != strconv.FormatUint(n, 10) { // a sign, a leading zero
		return netip.AddrPort{}, bad("%q is not a port", port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}

// The nibbles of version 2 (section 2.2).
const (
	v2Version = 2

	v2Local = 0
	v2Proxy = 1

	v2INET  = 1
	v2INET6 = 2
	v2Unix  = 3

	v2Stream   = 1
	v2Datagram = 2
)

// parseV2 reads a header of version 2 (section 2.2) whose addresses are used if they are of
// protocol. Its valid combinations that are not used fall back to UNSPEC, as that section asks.
func parseV2(b []byte, protocol config.Protocol) (h Inbound, need int, err error) {
	if len(b) < v2Fixed {
		return h, v2Fixed, nil
	}
	version, command, family, transport := b[12]>>4, b[12]&15, b[13]>>4, b[13]&15
	h.Size = v2Fixed + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case version != v2Version:
		return h, 0, bad("version %d", version)
	case command == v2Local: // whatever family it has: the block is discarded
		return h, h.Size, nil
	case command != v2Proxy:
		return h, 0, bad("command %d", command)
	case family > v2Unix || transport > v2Datagram:
		return h, 0, bad("family %d with transport %d", family, transport)
	case transport != transportOf(protocol) || family != v2INET && family != v2INET6:
		return h, h.Size, nil
	case len(b) < h.Size:
		return h, h.Size, nil
	}
	block := b[v2Fixed:h.Size]
	if h.Client, h.Dst, block, err = v2Addrs(family, block); err != nil {
		return h, 0, err
	}
	h.TLVs = block
	return h, h.Size, checkTLVs(b[:h.Size], block)
}

func transportOf(protocol config.Protocol) byte {
	if protocol == config.UDP {
		return v2Datagram
	}
	return v2Stream
}

// v2Addrs cuts the addresses off the block.
func v2Addrs(family byte, block []byte) (client, dst netip.AddrPort, rest []byte, err error) {
	n := 4 // bytes of an address
	if family == v2INET6 {
		n = 16
	}
	if len(block) < 2*n+4 {
		return client, dst, nil, bad("%d bytes have no room for its addresses", len(block))
	}
	at := func(i int) netip.AddrPort {
		a, _ := netip.AddrFromSlice(block[i*n : i*n+n])
		return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(block[2*n+2*i:]))
	}
	return at(0), at(1), block[2*n+4:], nil
}
