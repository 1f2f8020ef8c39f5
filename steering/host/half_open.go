package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/config"
)

// HalfOpen is a TCP conn whose client was sent a SYN-ACK and has not acknowledged it yet.
type HalfOpen struct{ Dst, Client netip.AddrPort }

// HalfOpens returns those in the network namespace of the calling thread. They may belong to any listener: the kernel
// does not say to which.
func HalfOpens() (map[HalfOpen]bool, error) {
	all := map[HalfOpen]bool{}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		found, err := Dump(func() ([][]byte, error) { return diagnose(family, config.TCP, tcpSynRecv) })
		if err != nil {
			return nil, fmt.Errorf("list the half-open conns: %w", err)
		}
		for _, message := range found {
			if len(message) < diagMessage {
				continue
			}
			all[HalfOpen{
				Dst:    netip.AddrPortFrom(diagAddr(message[0], message[8:24]), binary.BigEndian.Uint16(message[4:])),
				Client: netip.AddrPortFrom(diagAddr(message[0], message[24:40]), binary.BigEndian.Uint16(message[6:])),
			}] = true
		}
	}
	return all, nil
}
