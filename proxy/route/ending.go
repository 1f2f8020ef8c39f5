package route

import "anyport/config"

// Phase is how far a conn or flow has come: the second letter of HAProxy's "session state at
// disconnection".
type Phase uint8

// The phases: see phases.
const (
	AtAdmission Phase = iota
	InQueue
	AtConnect
	InData
	InLast
	AtEnd

	// PhaseMost is the number of phases.
	PhaseMost
)

// stateWord is a letter of a state, as a word and as a text for people.
type stateWord struct {
	letter      byte
	word, about string
}

var phases = [PhaseMost]stateWord{
	AtAdmission: {'R', "admission", "its route, its limits and its PROXY header are looked at"},
	InQueue:     {'Q', "queue", "it waits for an origin that has room"},
	AtConnect:   {'C', "connect", "origins are dialled"},
	InData:      {'D', "data", "both sides may send"},
	InLast:      {'L', "last", "the origin has closed, and the client has not"},
	AtEnd:       {'-', "end", "both have closed"},
}

func (p Phase) String() string { return phases[p].word }

// About says what the phase is.
func (p Phase) About() string { return phases[p].about }

// EndedBy is who ended a conn or flow: the first letter of HAProxy's state.
type EndedBy uint8

// Who ends conns and flows: see endedBy.
const (
	ByNobody EndedBy = iota
	ByClient
	ByOrigin
	ByPolicy
	ByResources
	ByInternal
	ByDownOrigin
	ByOperator
	ByClientTimeout
	ByOriginTimeout

	// EndedByMost is their number.
	EndedByMost
)

var endedBy = [EndedByMost]stateWord{
	ByNobody:        {'-', "nobody", "it ended in order"},
	ByClient:        {'C', "client", "the client left too early, or has sent RST"},
	ByOrigin:        {'S', "origin", "the origin has sent RST or refused, or there was none"},
	ByPolicy:        {'P', "policy", "the file says so: `allow` and `deny`, a limit, `max_age`"},
	ByResources:     {'R', "resources", "files, ports or places ran out"},
	ByInternal:      {'I', "internal", "an error of anyport or of the kernel"},
	ByDownOrigin:    {'D', "origin_down", "its origin went down, and the route has `on_down = \"close\"`"},
	ByOperator:      {'K', "operator", "a stop, a reload, a drain or a command"},
	ByClientTimeout: {'c', "client_timeout", "the client was silent for too long"},
	ByOriginTimeout: {'s', "origin_timeout", "the origin was silent for too long"},
}

func (b EndedBy) String() string { return endedBy[b].word }

// About says who that is.
func (b EndedBy) About() string { return endedBy[b].about }

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
	Draining: {ByOperator, AtAdmission}, Inactive: {ByPolicy, AtAdmission}, HeaderTimedOut: {ByClientTimeout, AtAdmission},

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
	OriginDown: {ByDownOrigin, AtEnd}, MaxAge: {ByPolicy, AtEnd}, HoursOver: {ByPolicy, AtEnd}, Killed: {ByOperator, AtEnd},
}

// Refuses reports whether v is the end of a conn or flow that the file or an operator does not allow: nothing was
// dialled for it.
func (v Verdict) Refuses() bool {
	e := endings[v]
	return e.Phase == AtAdmission && (e.By == ByPolicy || e.By == ByOperator)
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
		return Ending{ByOperator, r.Phase}
	}
	if e.Phase == AtEnd {
		e.Phase = r.Phase
	}
	return e
}
