package load

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// quiet is the first byte of datagrams that the origin counts and does not answer.
const quiet = 0x51

// echoDatagrams sends back what comes to the ports of echoUDP, a train as a train.
func echoDatagrams(address netip.Addr, counted *counter) error {
	p, err := newPoller()
	if err != nil {
		return err
	}
	sockets, in := map[int]*socket{}, newInbox()
	for i := range echoUDP.count {
		s, err := openUDP(netip.AddrPortFrom(address, echoUDP.port(i)), in)
		if err != nil {
			return err
		}
		sockets[s.fd] = s
		if err := p.add(s.fd, unix.EPOLLIN); err != nil {
			return err
		}
	}
	for {
		for _, event := range p.wait(pollForever) {
			sockets[int(event.Fd)].echo(counted)
		}
	}
}

func (s *socket) echo(counted *counter) {
	for m := range s.read {
		if at := payloadAt(m.bytes); len(m.bytes) > at && m.bytes[at] == quiet {
			counted.Add(int64((len(m.bytes) + m.size - 1) / m.size))
			continue
		}
		if !bytes.HasPrefix(m.bytes, v2Signature) {
			s.send(m.bytes, m.size, m.from)
			continue
		}
		for one := range slices.Chunk(m.bytes, m.size) {
			s.send(one[min(payloadAt(one), len(one)):], len(one), m.from)
		}
	}
	s.flush()
}

// payloadAt is where the payload of a datagram begins that may have a header.
func payloadAt(b []byte) int {
	switch {
	case bytes.HasPrefix(b, v2Signature) && len(b) >= v2Fixed:
		return v2Fixed + int(binary.BigEndian.Uint16(b[v2Fixed-2:]))
	case bytes.HasPrefix(b, sppMagic):
		return sppHeader
	}
	return 0
}

// sppMagic begins a header of the Simple Proxy Protocol, which has sppHeader bytes.
var sppMagic = []byte{0x56, 0xec}

const sppHeader = 38

// v2Signature begins a PROXY v2 header. Its first v2Fixed bytes end with the length of the others, which
// depends on the family.
var v2Signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

const v2Fixed = 16
