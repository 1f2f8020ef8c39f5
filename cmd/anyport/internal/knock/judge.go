package knock

import (
	"crypto/hmac"
	"net/netip"
	"time"
)

// Skew is how far the time of a datagram may be from the server's.
const Skew = 60 * time.Second

// A Verdict is what becomes of a datagram.
type Verdict string

// The verdicts.
const (
	Opened    Verdict = "opened"
	Malformed Verdict = "malformed" // not the form of a knock
	Unsigned  Verdict = "unsigned"  // no key of that name, or the signature is not of it
	Late      Verdict = "late"      // or too early: the clocks differ by more than Skew
	Replayed  Verdict = "replayed"  // its nonce was used before, or that can no longer be known
	NoDoor    Verdict = "no_door"   // authentic, for a route or an address without such a door
	Failed    Verdict = "failed"    // authentic, but the door could not be opened
	Overflow  Verdict = "overflow"  // not looked at: too many wait

	OpenedByPorts Verdict = "opened_by_ports" // no datagram: the last port of a sequence
)

// Verdicts are all of them.
var Verdicts = []Verdict{Opened, Malformed, Unsigned, Late, Replayed, NoDoor, Failed, Overflow, OpenedByPorts}

// Judge decides about a datagram that sender sent, except for what needs memory: whether its
// nonce is new, and whether its route has a door. On Opened the message says who is let in.
// What is not authentic is told apart only by what its sender could tell, too.
func Judge(datagram []byte, sender netip.Addr, keys Keys, now time.Time) (Message, Verdict) {
	m, signature, ok := parse(datagram)
	if !ok {
		return Message{}, Malformed
	}
	key := keys.Find(m.Key)
	if key == nil || !hmac.Equal(signature, sum(m.text(), key)) {
		return Message{}, Unsigned
	}
	if age := now.Sub(m.Time); age > Skew || age < -Skew {
		return m, Late
	}
	if !m.Client.IsValid() {
		m.Client = sender
	}
	m.Client = m.Client.Unmap()
	if m.Client.Zone() != "" || m.Client.IsUnspecified() || m.Client.IsMulticast() {
		return m, NoDoor
	}
	return m, Opened
}
