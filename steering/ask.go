package steering

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"anyport/bpf"
	"anyport/config"

	"golang.org/x/sys/unix"
)

// packet is what the program knows of a first packet. Its client is of dst's family,
// which may be IPv6 with an IPv4-mapped address, or the zero value.
type packet struct {
	protocol    config.Protocol
	dst, client netip.AddrPort
}

// The layout of struct bpf_sk_lookup in linux/bpf.h.
const (
	ctxCookie, ctxFamily, ctxProtocol     = 0, 8, 12
	ctxRemote4, ctxRemote6, ctxRemotePort = 16, 20, 36
	ctxLocal4, ctxLocal6, ctxLocalPort    = 40, 44, 60
	ctxSize                               = 72
)

// context is the packet as run takes it.
func (p packet) context(question bpf.SteerQuestion) []byte {
	c, native := make([]byte, ctxSize), binary.NativeEndian
	native.PutUint32(c[ctxProtocol:], uint32(p.protocol)|uint32(question))
	native.PutUint32(c[ctxLocalPort:], uint32(p.dst.Port()))
	binary.BigEndian.PutUint16(c[ctxRemotePort:], p.client.Port())
	dst, client := p.dst.Addr().As16(), p.client.Addr().As16()
	if p.dst.Addr().Is4() {
		native.PutUint32(c[ctxFamily:], unix.AF_INET)
		copy(c[ctxLocal4:], dst[12:])
		copy(c[ctxRemote4:], client[12:])
		return c
	}
	native.PutUint32(c[ctxFamily:], unix.AF_INET6)
	copy(c[ctxLocal6:], dst[:])
	copy(c[ctxRemote6:], client[:])
	return c
}

// answer is what the program in the kernel would do.
type answer struct {
	verdict Verdict
	fate    Verdict // what comes of it: of deny, refuse or drop
	route   string  // "": none
}

// ask asks the program, limits aside. Without a client it tells of one that is not
// denied. Nothing is counted. It needs Linux 5.13; before, it returns
// errors.ErrUnsupported.
func (s *Steering) ask(p packet) (answer, error) {
	question := bpf.SteerQuestionASKED
	switch client := p.client.Addr(); {
	case !client.IsValid():
		question = bpf.SteerQuestionASKED_FOR_ALL
	case p.dst.Addr().Is4() && !client.Is4():
		return answer{}, fmt.Errorf("no packet goes from %s to %s", client, p.dst.Addr())
	}
	if err := s.objects.Answers.Put(uint32(0), bpf.SteerAnswer{}); err != nil {
		return answer{}, fmt.Errorf("ask the steering program: %w", err)
	}
	returned, err := run(s.program, p.context(question), 1)
	if err != nil {
		return answer{}, fmt.Errorf("ask the steering program: %w", err)
	}
	var a bpf.SteerAnswer
	if err := s.objects.Answers.Lookup(uint32(0), &a); err != nil {
		return answer{}, fmt.Errorf("ask the steering program: %w", err)
	}
	switch {
	case a.Question == question:
		return answer{verdictWords[a.Verdict], verdictWords[a.Fate], routeName(a.Route)}, nil
	case returned == skPass:
		return answer{Pass, Pass, ""}, nil
	}
	return answer{Refuse, Refuse, ""}, nil
}

// skPass is SK_PASS of linux/bpf.h.
const skPass = 1

// empty reports whether a socket is missing of those for what is steered.
func (s *Steering) empty(protocol config.Protocol) bool {
	slot := bpf.SteerSlotTCP
	if protocol == config.UDP {
		slot = bpf.SteerSlotUDP
	}
	for place := range s.sockets.places(slot) {
		var cookie uint64
		if s.objects.Sockets.Lookup(place, &cookie) != nil {
			return true
		}
	}
	return false
}
