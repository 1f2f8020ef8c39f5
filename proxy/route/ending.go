package route

import "anyport/config"

// Phase is how far a conn or flow has come: the second letter of HAProxy's "session state at
// disconnection".
type Phase uint8

// The phases.
const (
	AtAdmission Phase = iota // its route, limits and PROXY header are looked at
	InQueue                  // it waits for an origin that has room
	AtConnect                // origins are dialled
	InData                   // both sides may send
	InLast                   // the origin has closed, and the client has not
	AtEnd                    // both have closed
)

var phases = []struct {
	word   string
	letter byte
}{
	AtAdmission: {"admission", 'R'}, InQueue: {"queue", 'Q'}, AtConnect: {"connect", 'C'},
	InData: {"data", 'D'}, InLast: {"last", 'L'}, AtEnd: {"end", '-'},
}

func (p Phase) String() string { return phases[p].word }

// EndedBy is who ended a conn or flow: the first letter of HAProxy's state.
type EndedBy uint8

// Who ends conns and flows.
const (
	ByNobody        EndedBy = iota // it ended in order, or goes on
	ByClient                       // it closed too early, or has sent RST
	ByOrigin                       // the origin did, or refused
	ByPolicy                       // the file says so: allow, deny, a limit, max_age
	ByResources                    // files, ports, memory or places ran out
	ByInternal                     // an error of anyport or of the kernel
	ByDownOrigin                   // its origin went down, and on_down = "close"
	ByOperator                     // a stop, a reload, a drain or a command
	ByClientTimeout                // the client was silent for too long
	ByOriginTimeout                // the origin was
)

var endedBy = []struct {
	word   string
	letter byte
}{
	ByNobody: {"nobody", '-'}, ByClient: {"client", 'C'}, ByOrigin: {"origin", 'S'}, ByPolicy: {"policy", 'P'},
	ByResources: {"resources", 'R'}, ByInternal: {"internal", 'I'}, ByDownOrigin: {"origin_down", 'D'}, ByOperator: {"operator", 'K'},
	ByClientTimeout: {"client_timeout", 'c'}, ByOriginTimeout: {"origin_timeout", 's'},
}

func (b EndedBy) String() string { return endedBy[b].word }

// Ending is who ended a conn or flow, and in which phase.
type Ending struct {
	By    EndedBy
	Phase Phase
}

// AppendState appends the two letters, as HAProxy writes them.
func (e Ending) AppendState(b []byte) []byte {
	return append(b, endedBy[e.By].letter, phases[e.Phase].letter)
}

// endings are who stands behind each verdict, and the phase if it can only be one; AtEnd: the record
// has it.
var endings = [Verdicts]Ending{
	NoRoute: {ByPolicy, AtAdmission}, Denied: {ByPolicy, AtAdmission}, UntrustedPeer: {ByPolicy, AtAdmission},
	OverMaxConns: {ByPolicy, AtAdmission}, OverMaxPerClient: {ByPolicy, AtAdmission}, OverClientRate: {ByPolicy, AtAdmission},
	OverMaxFlows: {ByPolicy, AtAdmission}, OverClientFlows: {ByPolicy, AtAdmission},
	Responder: {ByPolicy, AtAdmission}, Looped: {ByPolicy, AtAdmission}, BadHeader: {ByPolicy, AtAdmission},
	Draining: {ByOperator, AtAdmission}, HeaderTimedOut: {ByClientTimeout, AtAdmission},

	QueueFull: {ByPolicy, InQueue}, QueueTimedOut: {ByOriginTimeout, InQueue}, QueueAbandoned: {ByClient, InQueue},

	OverOriginConns: {ByPolicy, AtConnect}, NoOrigin: {ByOrigin, AtConnect}, NoneForClient: {ByOrigin, AtConnect},
	ConnectFailed: {ByOrigin, AtConnect}, ConnectTimedOut: {ByOriginTimeout, AtConnect},
	ClientPortInUse: {ByResources, AtConnect}, OutOfPorts: {ByResources, AtConnect}, OutOfFiles: {ByResources, AtConnect},
	HeaderFailed: {ByInternal, AtConnect},

	Closed:        {ByNobody, AtEnd},
	ResetByClient: {ByClient, AtEnd}, ClientTimedOut: {ByClientTimeout, AtEnd},
	ResetByOrigin: {ByOrigin, AtEnd}, OriginTimedOut: {ByOriginTimeout, AtEnd},
	IdleTimedOut: {ByClientTimeout, AtEnd}, HalfCloseTimedOut: {ByOriginTimeout, AtEnd},
	DrainTimedOut: {ByOperator, AtEnd}, RelayFailed: {ByInternal, AtEnd}, Evicted: {ByResources, AtEnd},
	OriginDown: {ByDownOrigin, AtEnd}, MaxAge: {ByPolicy, AtEnd},
}

// Ending says who ended the conn or flow of a record, and in which phase.
func (r *Record) Ending() Ending {
	e := endings[r.Verdict]
	switch {
	case r.Verdict == Closed, r.Verdict == IdleTimedOut && r.Protocol == config.UDP: // UDP has no other end
		return Ending{ByNobody, AtEnd}
	case r.Verdict == HalfCloseTimedOut && r.Phase == InLast: // the origin has closed, so the client is silent
		e.By = ByClientTimeout
	case r.Verdict == NoRoute && r.Phase > AtAdmission: // a reload took the route of a live one
		e.By = ByOperator
	}
	if e.Phase == AtEnd || e.Phase == AtAdmission && r.Phase > AtAdmission { // it was live
		e.Phase = r.Phase
	}
	return e
}
