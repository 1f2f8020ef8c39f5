package proxy

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// OriginStates are the states of origins that another process has to know of, by route and address.
// Its JSON goes between versions of anyport: a field may be added, none may change its meaning.
type OriginStates map[string]map[string]OriginState

// OriginState is what one process tells another about an origin.
type OriginState struct {
	Forced  string    `json:"forced,omitempty"` // "drain", "down"
	Failing bool      `json:"failing,omitempty"`
	Why     string    `json:"why,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Back    time.Time `json:"back,omitzero"`

	Failures map[string]OriginFailure `json:"failures,omitempty"` // protocol → the last one
}

// OriginFailure is why an origin last did not take a conn or flow.
type OriginFailure struct {
	Error   string    `json:"error"`
	Errno   int       `json:"errno,omitempty"`
	At      time.Time `json:"at"`
	Since   time.Time `json:"since"`
	InRow   int       `json:"in_row"`
	Telling bool      `json:"telling,omitempty"` // they are of the origin as a whole
	Failing bool      `json:"failing,omitempty"` // nothing has succeeded since
}

// mostStates bounds the states that checks and dials have found: they travel in one message, and the
// other process finds them out again. What operators have ordered is always sent.
const mostStates = 10_000

// exportFailures is the last failure over each protocol; nil: there was none.
func exportFailures(o *origin.Origin) (all map[string]OriginFailure) {
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		last, failing := o.LastFailure(p)
		if last == nil {
			continue
		}
		if all == nil {
			all = map[string]OriginFailure{}
		}
		all[p.String()] = OriginFailure{last.Class.String(), int(last.Errno), last.At, last.Since, last.InRow, last.Telling, failing}
	}
	return all
}

// OriginStates returns the states that differ from that of an origin about which nothing is known.
func (s *Server) OriginStates() OriginStates {
	all, found := OriginStates{}, 0
	for r, o := range originsOf(s.routes.Set()) {
		state, failures := o.State(), exportFailures(o)
		if state == (health.State{}) && failures == nil {
			continue
		}
		if state.Forced == health.ByHealth {
			if found++; found > mostStates {
				continue
			}
		}
		out := exportState(state)
		out.Failures = failures
		all.add(r, o, out)
	}
	return all
}

func (all OriginStates) add(r *route.Route, o *origin.Origin, state OriginState) {
	if all[r.Name] == nil {
		all[r.Name] = map[string]OriginState{}
	}
	all[r.Name][o.Text] = state
}

// OriginOrders returns the states that operators have forced on origins: what must outlive a crash. What
// checks have found does not: they find it again.
func (s *Server) OriginOrders() OriginStates {
	orders := OriginStates{}
	for r, o := range originsOf(s.routes.Set()) {
		if state := o.State(); state.Forced != health.ByHealth {
			orders.add(r, o, OriginState{Forced: state.Forced.String(), Why: state.Why, Since: state.Since})
		}
	}
	return orders
}

func exportState(state health.State) OriginState {
	out := OriginState{Failing: state.Failing, Why: state.Why, Since: state.Since, Back: state.Back}
	if state.Forced != health.ByHealth {
		out.Forced = state.Forced.String()
	}
	return out
}

// RestoreOrigins goes on with the states of another process. It must be called after Try and before its
// trial is kept.
func (s *Server) RestoreOrigins(states OriginStates) {
	now := time.Now()
	for _, r := range s.routes.Set().Routes {
		for _, o := range r.Origins().Origins {
			if in, ok := states[r.Name][o.Text]; ok {
				restoreOrigin(r, o, in)
				o.ResumeDown(now)
			}
		}
		r.Origins().RestoreAlarms()
		r.ResumeOutage(now)
	}
}

// restoreOrigin leaves out what the checks of the other process have found, if this one has none.
func restoreOrigin(r *route.Route, o *origin.Origin, in OriginState) {
	forced, _ := health.ParseForced(in.Forced)
	o.Restore(health.State{Forced: forced, Failing: in.Failing && r.Health != nil, Why: in.Why, Since: in.Since, Back: in.Back})
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		if f, ok := in.Failures[p.String()]; ok {
			o.RestoreFailure(p, origin.LastFailure{
				Class: origin.ParseErrorClass(f.Error), Errno: unix.Errno(f.Errno), At: f.At, Since: f.Since, InRow: f.InRow, Telling: f.Telling,
			}, f.Failing)
		}
	}
}
