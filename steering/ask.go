package steering

import (
	"fmt"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/program"
	"anyport/steering/table"
)

// answer is what the program in the kernel would do.
type answer struct {
	verdict table.Verdict
	fate    table.Verdict // what comes of it: of deny, refuse or drop
	route   string        // "": none
}

// ask asks the program, limits aside. Without a client it tells of one that is not
// denied. Nothing is counted. It needs Linux 5.13; before, it returns
// errors.ErrUnsupported.
func (s *Steering) ask(p program.Packet) (answer, error) {
	question := bpf.SteerQuestionASKED
	switch client := p.Client.Addr(); {
	case !client.IsValid():
		question = bpf.SteerQuestionASKED_FOR_ALL
	case p.Dst.Addr().Is4() && !client.Is4():
		return answer{}, fmt.Errorf("no packet goes from %s to %s", client, p.Dst.Addr())
	}
	if err := s.objects.Answers.Put(uint32(0), bpf.SteerAnswer{}); err != nil {
		return answer{}, fmt.Errorf("ask the steering program: %w", err)
	}
	returned, err := program.TestRun(s.loaded.Program, p.Context(question), 1)
	if err != nil {
		return answer{}, fmt.Errorf("ask the steering program: %w", err)
	}
	var a bpf.SteerAnswer
	if err := s.objects.Answers.Lookup(uint32(0), &a); err != nil {
		return answer{}, fmt.Errorf("ask the steering program: %w", err)
	}
	switch {
	case a.Question == question:
		return answer{bpfmaps.Verdicts[a.Verdict], bpfmaps.Verdicts[a.Fate], bpfmaps.RouteName(a.Route)}, nil
	case returned == program.SKPass:
		return answer{table.Pass, table.Pass, ""}, nil
	}
	return answer{table.Refuse, table.Refuse, ""}, nil
}

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
