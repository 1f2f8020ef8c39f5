package steering

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/clock"
)

// MarkClosed has the kernel refuse dst for as long as it lasts, on the routes with
// mirror_closed: no origin has that service. Of UDP that is every datagram, as the
// origin itself would do; conns that are there live on. It ends at once with a lasts of
// 0. The kernel keeps some 16,000 of these, and forgets the ones least asked for.
func (s *Steering) MarkClosed(protocol config.Protocol, dst netip.AddrPort, lasts time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	key := serviceKey(protocol, dst)
	if lasts <= 0 {
		if err := s.objects.Closed.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("open %v %s again: %w", protocol, dst, err)
		}
		return nil
	}
	if err := s.objects.Closed.Put(key, uint64(clock.Monotonic()+lasts)); err != nil {
		return fmt.Errorf("close %v %s: %w", protocol, dst, err)
	}
	return nil
}

// closedRemaining is how long dst is still refused because no origin has it.
func (s *Steering) closedRemaining(protocol config.Protocol, dst netip.AddrPort) time.Duration {
	var until uint64
	if s.objects.Closed.Lookup(serviceKey(protocol, dst), &until) != nil {
		return 0
	}
	return max(0, time.Duration(until)-clock.Monotonic())
}

// serviceKey is the key of a dst in the map of closed services, IPv4 as ::ffff:a.b.c.d.
func serviceKey(protocol config.Protocol, dst netip.AddrPort) bpf.SteerService {
	return bpf.SteerService{Addr: bpfmaps.AddrWords(dst.Addr()), Port: dst.Port(), Protocol: uint16(protocol)}
}
