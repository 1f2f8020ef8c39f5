package route

import "time"

// Step is a moment in the life of a conn or flow that `anyport trace` shows.
type Step uint8

// The steps, in their order. Between StepAccepted and StepEnded some may repeat, or be missing.
const (
	StepAccepted   Step = iota // its route has admitted it; a flow has its origin already
	StepDialling               // an origin is dialled
	StepDialFailed             // that origin did not take it
	StepConnected              // the origin has accepted
	StepMoved                  // a flow goes on with another origin
	StepRefused                // it was not accepted; a conn that was parked has an id all the same
	StepEnded                  // it has ended, or without an id: it was refused
)

// Traced is one step. Of the steps before StepRefused the record has only what is known without a system
// call.
type Traced struct {
	At   time.Time
	Step Step
	Record
}

// SetTrace has the loops call to at each step of each conn and flow from now on, or no more if it is nil.
// to must not block.
func (l *Live) SetTrace(to func(Traced)) {
	if to == nil {
		l.trace.Store(nil)
		return
	}
	l.trace.Store(&to)
}

// Trace is what SetTrace has set, or nil: one load, which is all that a step costs while nobody traces.
func (l *Live) Trace() func(Traced) {
	if to := l.trace.Load(); to != nil {
		return *to
	}
	return nil
}
