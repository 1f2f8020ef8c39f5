package peers

import "anyport/steering/fleet"

// headers are those of a client's packet before its payload: IPv6 and TCP. What TCP has of options
// counts as payload (RFC 6691).
const headers = 40 + 20

// leastSegment is what every host must be able to receive (RFC 9293, section 3.7.1).
const leastSegment = 536

// Segment is the longest segment that clients may send, if a peer may have to send it on, wrapped; 0: as
// long as their device allows. A sender never learns that a wrapped packet did not fit. backplane is the
// smallest MTU there, clients the largest of the devices that clients come by, overhead what wrapping adds.
func Segment(backplane, clients, overhead int) int {
	if backplane == 0 || backplane >= clients+overhead {
		return 0
	}
	return max(backplane-overhead-headers, leastSegment)
}

// SmallestMTU is that of the backplane, as far as it is known: 0 if it is not.
func SmallestMTU(s fleet.Status) int {
	smallest := s.MTU
	for _, p := range s.Peers {
		if p.MTU != 0 && (smallest == 0 || p.MTU < smallest) {
			smallest = p.MTU
		}
	}
	return smallest
}
