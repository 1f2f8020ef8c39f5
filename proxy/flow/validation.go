package flow

// Stage is how far a flow has come. Flows of a lower stage are evicted first.
type Stage uint8

// The stages.
const (
	Unanswered Stage = iota // no reply so far: origin and client may both not exist
	Answered                // the client has not shown that it receives replies
	Validated               // the client has: the flow is never evicted
)

// validation counts how often a client has sent a datagram after one of the origin; the lowest bit
// says that the origin has sent last. A client that receives nothing, because its address is
// forged, can only guess when to send.
type validation uint8

// ExchangesToValidate is the number of exchanges after which a client counts as validated.
const ExchangesToValidate = 8

// clientSent notes a datagram of the client.
func (v *validation) clientSent() {
	if *v&1 != 0 {
		*v++ // clears the bit, and counts
	}
}

// originSent notes a datagram of the origin that was forwarded to the client.
func (v *validation) originSent() {
	if !v.done() {
		*v |= 1
	}
}

func (v validation) done() bool { return v >= ExchangesToValidate<<1 }

// validationOf is the validation after n exchanges; more than ExchangesToValidate count as that.
func validationOf(n int, originSentLast bool) (v validation) {
	v = validation(min(max(n, 0), ExchangesToValidate) << 1)
	if originSentLast {
		v.originSent()
	}
	return v
}

func (v validation) exchanges() int       { return int(v >> 1) }
func (v validation) originSentLast() bool { return v&1 != 0 }
