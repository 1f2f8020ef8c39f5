package steering

import (
	"fmt"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/steering/program"
	"anyport/steering/table"
)

// Explain says what the program in the kernel would do with the first packet from
// client to dst, in lines for the one who asks, and where that is not what the config
// in service says. An invalid client stands for one that every route admits. Limits
// are not looked at.
func (s *Steering) Explain(protocol config.Protocol, dst netip.AddrPort, client netip.Addr) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return nil
	}
	p := program.Packet{Protocol: protocol, Dst: netip.AddrPortFrom(dst.Addr().Unmap(), dst.Port()), Client: netip.AddrPortFrom(client.Unmap(), program.AnyPort)}
	got, err := s.ask(p)
	if err != nil {
		return []string{err.Error()}
	}
	return append([]string{got.String() + s.otherwise(p, got)}, s.inTheWay(p, got)...)
}

func (a answer) String() string {
	text := string(a.verdict)
	if a.route != "" {
		text += fmt.Sprintf(" by route %q", a.route)
	}
	return text
}

// otherwise says why the kernel's answer is not that of the config in service.
func (s *Steering) otherwise(p program.Packet, got answer) string {
	want := s.table.Decide(p.Protocol, p.Dst, p.Client.Addr())
	if got.route != want.RouteName() || got.verdict != want.Verdict {
		if why := s.refuses(p, want); why != "" && got.verdict == table.Refuse {
			return why
		}
		return fmt.Sprintf(", where the config in service has %s by route %q: somebody else has written to the maps; to have them filled again: anyport reload", want.Verdict, want.RouteName())
	}
	for prefix, until := range s.gone {
		if !want.Prefix.IsValid() && prefix.Contains(p.Dst.Addr()) {
			return fmt.Sprintf(": %s is not served any more; its old conns may live on until %s", prefix, until.Format("15:04:05"))
		}
	}
	return ""
}

// refuses says why the kernel refuses for now what it would steer, "" if it does not.
func (s *Steering) refuses(p program.Packet, want table.Decision) string {
	if want.Verdict != table.Steer {
		return ""
	}
	var drains uint32
	if err := s.objects.Drains.Lookup(s.numbers[want.RouteName()], &drains); err == nil && drains != 0 && p.Protocol == config.TCP {
		return ": it drains"
	}
	if left := s.closedFor(p.Protocol, p.Dst); left > 0 && want.Route.MirrorClosed {
		return fmt.Sprintf(": its origin has refused that, %s more", left.Round(time.Second))
	}
	return ""
}

// inTheWay says what else becomes of a packet that the program would steer.
func (s *Steering) inTheWay(p program.Packet, got answer) (lines []string) {
	if state, err := s.linkState(); err != nil || state != linked {
		lines = append(lines, fmt.Sprintf("but the program is %s", state))
	}
	if others, _, err := s.foreign(); err == nil && len(others) > 0 {
		lines = append(lines, fmt.Sprintf("but other sk_lookup programs are attached (%v), and a socket that one of them chooses wins", others))
	}
	if why := s.keep.Undelivered(p.Dst.Addr(), s.config.Steering.ManageRoutes); why != "" {
		lines = append(lines, "but "+why)
	}
	if got.verdict != table.Steer {
		return lines
	}
	if s.empty(p.Protocol) {
		lines = append(lines, fmt.Sprintf("but no %v socket takes it: it is refused", p.Protocol))
	}
	return lines
}
