package udp

import "net/netip"

// Knock takes a datagram that is for nobody's flow but for the process: it reports whether dst is
// where clients knock. It is called on the loops, so it must not block, and must not keep the
// datagram. It never answers.
type Knock func(client, dst netip.AddrPort, datagram []byte) bool

// isKnock passes an arrival of no flow on where it is a knock.
func (l *loop) isKnock(a arrival) bool {
	if l.knock == nil {
		return false
	}
	taken := false
	for i := range a.Length() {
		taken = l.knock(a.key.Client.AddrPort(), a.key.Dst.AddrPort(), a.At(i))
		if !taken {
			break
		}
	}
	return taken
}
