package trace

import (
	"net/netip"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/route"
	"anyport/steering"
	"anyport/steering/table"
)

// event is a packet at the program or a step in the proxy; the other one is nil.
type event struct {
	at       time.Time
	packet   *steering.TraceEvent
	step     *route.Traced
	repeated int // datagrams before it that said the same
}

// matches reports whether a filter selects the event: the client by the name that a PROXY header gave it,
// or by the address that its packets come from.
func (e *event) matches(f admin.TraceFilter) bool {
	if e.packet != nil {
		return (f.Route == "" || f.Route == e.packet.Route) && f.Client.Has(e.packet.Client)
	}
	return (f.Route == "" || f.Route == e.step.Route) &&
		(f.Client.Has(e.step.Client) || e.step.Peer.IsValid() && f.Client.Has(e.step.Peer))
}

// tuple is one flow's datagrams that say the same.
type tuple struct {
	client, dst netip.AddrPort
	verdict     table.Verdict
	reason      string
}

// datagram is the tuple of a packet that may be one of many. Knocks are not.
func (e *event) datagram() (t tuple, ok bool) {
	p := e.packet
	if p == nil || p.Protocol != config.UDP || p.Knock != "" {
		return t, false
	}
	return tuple{p.Client, p.Dst, p.Verdict, p.Reason}, true
}

// line is the event for the admin API. Its time is by the wall clock as it is set now.
func (e *event) line(now time.Time) admin.TraceEvent {
	at := now.Add(e.at.Sub(now)).Round(0)
	if e.packet != nil {
		return packetLine(e.packet, at, e.repeated)
	}
	return stepLine(e.step, at)
}

func packetLine(p *steering.TraceEvent, at time.Time, repeated int) admin.TraceEvent {
	return admin.TraceEvent{
		Time: at, By: admin.ByKernel, Event: admin.TracePacket,
		Protocol: p.Protocol.String(), Client: p.Client.String(), Dst: p.Dst.String(), Route: p.Route,
		Verdict: string(p.Verdict), Fate: string(p.Fate), Reason: p.Reason, Knock: p.Knock, Repeated: repeated,
	}
}

// stepWords are the words of steps. A StepEnded without an id is admin.TraceRefused, too.
var stepWords = map[route.Step]string{
	route.StepAccepted: admin.TraceAccepted, route.StepDialling: admin.TraceDialling, route.StepDialFailed: admin.TraceDialFailed,
	route.StepConnected: admin.TraceConnected, route.StepMoved: admin.TraceMoved,
	route.StepRefused: admin.TraceRefused, route.StepEnded: admin.TraceEnded,
}

func stepLine(s *route.Traced, at time.Time) admin.TraceEvent {
	line := admin.TraceEvent{
		Time: at, By: admin.ByProxy, Event: stepWords[s.Step],
		Protocol: s.Protocol.String(), Client: s.Client.String(), Dst: s.Dst.String(), Route: s.Route,
		Peer: textOf(s.Peer), Origin: textOf(s.Origin), Source: textOf(s.Source), Attempt: s.Attempts,
	}
	if s.ID != 0 {
		line.ID = s.ID.String()
	}
	if s.Error != origin.NoError {
		line.Error = s.Error.String()
	}
	if s.Step == route.StepConnected || s.Step == route.StepEnded {
		line.Connect = s.Connect.Seconds()
	}
	if s.Step >= route.StepRefused {
		endLine(&line, &s.Record)
	}
	return line
}

// endLine adds what is known at an end.
func endLine(line *admin.TraceEvent, r *route.Record) {
	ending := r.Ending()
	line.Verdict, line.EndedBy, line.Phase = r.Verdict.String(), ending.By.String(), ending.Phase.String()
	if r.ID == 0 {
		line.Event = admin.TraceRefused
	}
	if line.Event == admin.TraceRefused {
		return
	}
	line.ToOrigin, line.ToClient = &r.Sent[route.ToOrigin].Bytes, &r.Sent[route.ToClient].Bytes
	line.Seconds = r.Took.Seconds()
}

// textOf is "" for the zero value.
func textOf(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
