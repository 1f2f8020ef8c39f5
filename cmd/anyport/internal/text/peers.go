package text

import (
	"fmt"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// Peers says whether the other hosts are asked about conns that are not here, and how much of that there
// was. What costs conns is in capitals.
func Peers(s *admin.PeersStatus) string {
	if s.Off != "" {
		return "NOT ASKED about conns that are not here: " + s.Off
	}
	text := fmt.Sprintf("%d of %d alive, by %s (%s, MTU %d, %s)", s.Alive(), len(s.Peers), s.Device, s.Address, s.MTU, s.Way)
	if s.Segment > 0 {
		text += fmt.Sprintf(", segments of clients at most %d bytes", s.Segment)
	}
	text += fmt.Sprintf("; %d packets asked, %d straight, %d taken", s.Packets["asked"], s.Packets["straight"], s.Packets["taken"])
	if n := s.Packets["shed"] + s.Packets["too_long"] + s.Packets["unsent"]; n > 0 {
		text += fmt.Sprintf(", %d LOST (%d too many, %d too long, %d unsent)", n, s.Packets["shed"], s.Packets["too_long"], s.Packets["unsent"])
	}
	for _, d := range s.Devices {
		if d.Off != "" {
			text += fmt.Sprintf("; not for packets by %s: %s", d.Name, d.Off)
		}
	}
	return text
}

// peerTable has a row for each other host.
func peerTable(s *admin.PeersStatus) Grid {
	t := statusGrid("PEER", "STATE", "RTT", "MTU", "CLOCK")
	if s == nil {
		return t
	}
	for _, p := range s.Peers {
		rtt, mtu, clock := "-", "-", "-"
		if p.RTTSeconds > 0 {
			rtt = time.Duration(p.RTTSeconds * float64(time.Second)).Round(time.Microsecond).String()
			clock = fmt.Sprintf("%+.3fs", p.Clock)
		}
		if p.MTU > 0 {
			mtu = fmt.Sprint(p.MTU)
		}
		t.Add([]string{p.Address, peerState(p), rtt, mtu, clock})
	}
	return t
}

// peerState says why a peer is not asked.
func peerState(p admin.PeerStatus) string {
	var notes []string
	switch {
	case p.Alive:
		notes = append(notes, "alive")
	case p.HeardAt != nil:
		notes = append(notes, "SILENT since "+p.HeardAt.Format(time.TimeOnly))
	default:
		notes = append(notes, "NEVER HEARD")
	}
	if p.Off != "" {
		notes = append(notes, p.Off)
	}
	if p.WrongTags > 0 && !p.Alive {
		notes = append(notes, "has ANOTHER KEY")
	}
	return strings.Join(notes, ", ")
}
