package steering

import (
	"fmt"
	"net/netip"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/bpfmaps"
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
	if s.isClosed() {
		return nil
	}
	p := program.Packet{Protocol: protocol, Dst: netip.AddrPortFrom(dst.Addr().Unmap(), dst.Port()), Client: netip.AddrPortFrom(client.Unmap(), program.AnyPort)}
	got, err := s.askKernel(p)
	if err != nil {
		return []string{err.Error()}
	}
	return append([]string{got.String() + s.difference(p, got)}, s.obstacles(p, got)...)
}

func (a kernelAnswer) String() string {
	text := string(a.verdict)
	if a.route != "" {
		text += fmt.Sprintf(" by route %q", a.route)
	}
	return text
}

// difference says why the kernel's answer is not that of the config in service.
func (s *Steering) difference(p program.Packet, got kernelAnswer) string {
	want := s.tableOf(p.Client.Addr()).DecideAt(p.Protocol, p.Dst, p.Client.Addr(), time.Now())
	if want.Verdict == table.Inactive && p.Protocol == config.UDP && want.Route.OnInactive == config.KeepConns && got.verdict == table.Steer {
		return ": for the flows that are live; the process refuses new ones"
	}
	if state := s.knockDifference(p, got, want); state != "" {
		return state
	}
	if got.route != want.RouteName() || got.verdict != want.Verdict {
		if why := s.temporaryRefusal(p, want); why != "" && got.verdict == table.Refuse {
			return why
		}
		return fmt.Sprintf(", where the config in service has %s by route %q: somebody else has written to the maps; to have them filled again: anyport reload", want.Verdict, want.RouteName())
	}
	for prefix, until := range s.retired {
		if !want.Prefix.IsValid() && prefix.Contains(p.Dst.Addr()) {
			return fmt.Sprintf(": %s is not served any more; its old conns may live on until %s", prefix, until.Format("15:04:05"))
		}
	}
	return ""
}

// temporaryRefusal says why the kernel refuses for now what it would steer, "" if it does not.
func (s *Steering) temporaryRefusal(p program.Packet, want table.Decision) string {
	if want.Verdict != table.Steer && want.Verdict != table.Socket {
		return ""
	}
	var drains uint32
	if err := s.objects.Drains.Lookup(s.allNumbers()[want.RouteName()], &drains); err == nil && drains != 0 && p.Protocol == config.TCP {
		return ": it drains"
	}
	if left := s.closedRemaining(p.Protocol, p.Dst); left > 0 && want.Route.MirrorClosed {
		return fmt.Sprintf(": its origin has refused that, %s more", left.Round(time.Second))
	}
	return ""
}

// obstacles says what else becomes of a packet that the program would steer.
func (s *Steering) obstacles(p program.Packet, got kernelAnswer) (lines []string) {
	if state, err := s.linkState(); err != nil || state != linkAttached {
		lines = append(lines, fmt.Sprintf("but the program is %s", state))
	}
	if others, _, err := s.foreignPrograms(); err == nil && len(others) > 0 {
		lines = append(lines, fmt.Sprintf("but other sk_lookup programs are attached (%v), and a socket that one of them chooses wins", others))
	}
	if why := s.keeper.Undelivered(p.Dst.Addr(), s.config.Steering.ManageRoutes); why != "" {
		lines = append(lines, "but "+why)
	}
	if got.verdict == table.Socket {
		return append(lines, s.explainService(p, s.tableOf(p.Client.Addr()).Decide(p.Protocol, p.Dst, netip.Addr{}).Route)...)
	}
	if got.verdict != table.Steer {
		return lines
	}
	if s.lacksSocket(p.Protocol) {
		lines = append(lines, fmt.Sprintf("but no %v socket takes it: it is refused", p.Protocol))
	}
	return lines
}

// kernelAnswer is what the program in the kernel would do.
type kernelAnswer struct {
	verdict table.Verdict
	outcome table.Verdict // what comes of it: of deny, refuse or drop
	route   string        // "": none
}

// askKernel asks the program, without its limits. Without a client it answers for one that no source
// list denies. Nothing is counted. It needs Linux 5.13; on older kernels it returns
// errors.ErrUnsupported.
func (s *Steering) askKernel(p program.Packet) (kernelAnswer, error) {
	question := bpf.SteerQuestionASKED
	switch client := p.Client.Addr(); {
	case !client.IsValid():
		question = bpf.SteerQuestionASKED_FOR_ALL
	case p.Dst.Addr().Is4() && !client.Is4():
		return kernelAnswer{}, fmt.Errorf("no packet goes from %s to %s", client, p.Dst.Addr())
	}
	if err := s.objects.Answers.Put(uint32(0), bpf.SteerAnswer{}); err != nil {
		return kernelAnswer{}, fmt.Errorf("ask the steering program: %w", err)
	}
	returned, err := program.TestRun(s.loaded.Program, p.Context(question), 1)
	if err != nil {
		return kernelAnswer{}, fmt.Errorf("ask the steering program: %w", err)
	}
	var a bpf.SteerAnswer
	if err := s.objects.Answers.Lookup(uint32(0), &a); err != nil {
		return kernelAnswer{}, fmt.Errorf("ask the steering program: %w", err)
	}
	switch {
	case a.Question == question:
		return kernelAnswer{bpfmaps.VerdictOf(a.Verdict), bpfmaps.VerdictOf(a.Fate), bpfmaps.RouteName(a.Route)}, nil
	case returned == program.SKPass:
		return kernelAnswer{table.Pass, table.Pass, ""}, nil
	}
	return kernelAnswer{table.Refuse, table.Refuse, ""}, nil
}

// lacksSocket reports whether a socket is missing of those for what is steered.
func (s *Steering) lacksSocket(protocol config.Protocol) bool {
	slot := bpf.SteerSlotTCP
	if protocol == config.UDP {
		slot = bpf.SteerSlotUDP
	}
	for place := range s.sockets.mapEntries(slot) {
		var cookie uint64
		if s.objects.Sockets.Lookup(place, &cookie) != nil {
			return true
		}
	}
	return false
}
