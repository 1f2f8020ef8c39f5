package route

import (
	"time"

	"anyport/config"
)

// Recording is what the event loops record of conns and flows. It does not change: SetRecording puts
// another one in its place, as a reload may turn the access log on or off.
type Recording struct {
	To       func(Record)  // called from the loops; must not block; nil: nobody wants records
	Progress time.Duration // time between records of a live conn or flow; 0: only at its end
	Share    float64       // of normal ends and of progress; 0: none. Everything else is always recorded
}

// SameProgress reports whether r records the progress of a live conn or flow at the same times as before.
func (r *Recording) SameProgress(before *Recording) bool {
	return r.Progress == before.Progress &&
		(r.Progress == 0 || r.Share == before.Share && (r.To == nil) == (before.To == nil))
}

// nothingRecorded is in service until SetRecording.
var nothingRecorded Recording

// SetRecording has the loops record as r says from now on.
func (l *Live) SetRecording(r Recording) {
	l.recording.Store(&r)
	l.notify()
}

// Recording is how the loops record now; never nil. It is another one after each SetRecording.
func (l *Live) Recording() *Recording {
	if r := l.recording.Load(); r != nil {
		return r
	}
	return &nothingRecorded
}

// Wants reports whether the end of a conn or flow is to be recorded, which tried that number of origins.
// So what is not recorded costs its loop no system call.
func (r *Recording) Wants(id ID, protocol config.Protocol, v Verdict, attempts int) bool {
	return r.To != nil && (!Normal(protocol, v, attempts) || id.sampled(r.Share))
}

// WantsProgress reports whether a live conn or flow is to be recorded.
func (r *Recording) WantsProgress(id ID) bool {
	return r.To != nil && r.Progress > 0 && id.sampled(r.Share)
}

// NextProgress is when the next record of a conn or flow is due that began at a moment. It is a multiple
// of Progress after that, so another process that goes on with the conn finds the same moments. Not ok
// if there is none.
func (r *Recording) NextProgress(id ID, began, now time.Duration) (at time.Duration, ok bool) {
	if !r.WantsProgress(id) {
		return 0, false
	}
	return began + (max(now-began, 0)/r.Progress+1)*r.Progress, true
}

// Normal reports whether a conn or flow ended as it should, with the first origin that was tried: the only
// ends that sampling may leave out.
func Normal(protocol config.Protocol, v Verdict, attempts int) bool {
	return attempts <= 1 && (v == Closed || v == IdleTimedOut && protocol == config.UDP)
}
