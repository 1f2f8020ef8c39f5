package origin

import (
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// State is what is known of o from its checks and from the operator.
func (o *Origin) State() health.State {
	if s := o.counts.state.Load(); s != nil {
		return *s
	}
	return health.State{}
}

// Verdict is what o is for new conns (TCP) or flows (UDP).
func (o *Origin) Verdict(p config.Protocol, now time.Time) health.Verdict {
	ejected, _ := o.ejected(p, now)
	return o.State().Verdict(o.CurrentWeight(), ejected)
}

// Standing is what o is, whatever dials and ICMP errors say. It costs one load where nothing is known.
func (o *Origin) Standing() health.Verdict { return o.State().Verdict(o.CurrentWeight(), false) }

// SetChecked notes what o's active checks say, and reports whether that is new. What dials found before
// an origin came back says nothing any more.
func (o *Origin) SetChecked(failing bool, why string, now time.Time) (changed bool) {
	changed = o.change(func(s health.State) health.State { return s.Checked(failing, why, now) })
	if changed {
		o.noteDown(now)
	}
	if changed && !failing {
		for i := range o.counts.failures {
			o.counts.failures[i].succeed()
		}
	}
	return changed
}

// Force notes an order of the operator, and reports whether it is new.
func (o *Origin) Force(to health.Forced, why string, now time.Time) (changed bool) {
	changed = o.change(func(s health.State) health.State { return s.Force(to, why, now) })
	if changed {
		o.noteDown(now)
	}
	return changed
}

// Restore sets a state that another process has sent.
func (o *Origin) Restore(s health.State) {
	if s != (health.State{}) {
		o.counts.state.Store(&s)
	}
}

// change replaces the state, and counts what o became.
func (o *Origin) change(next func(health.State) health.State) (changed bool) {
	for {
		before := o.counts.state.Load()
		var old health.State
		if before != nil {
			old = *before
		}
		s := next(old)
		if s == old {
			return false
		}
		if !o.counts.state.CompareAndSwap(before, &s) {
			continue
		}
		weight := o.CurrentWeight()
		if is := s.Verdict(weight, false); is != old.Verdict(weight, false) {
			o.counts.changes[is].Add(1)
		}
		return true
	}
}

// Changes counts how often o became v.
func (o *Origin) Changes(v health.Verdict) uint64 { return o.counts.changes[v].Load() }

// SetResult notes the last result of o's active checks.
func (o *Origin) SetResult(r *health.Result) {
	o.counts.last.Store(r)
	if !r.Passed() {
		o.counts.failed.Add(1)
	}
}

// LastResult is the last result of o's active checks; nil: there is none.
func (o *Origin) LastResult() *health.Result { return o.counts.last.Load() }

// share is the weight of o now, slow_start included.
func (o *Origin) share(slowStart time.Duration, p config.Protocol, now time.Time) float64 {
	weight := float64(o.CurrentWeight())
	if slowStart <= 0 {
		return weight
	}
	back := o.State().Back
	if e, _ := o.refusals(p).of(whole); e.Wait > 0 && e.Until.After(back) {
		back = e.Until
	}
	return weight * health.Share(back, now, slowStart)
}

// ejected reports whether o is left out as a whole, and whether it was tried again since and has
// failed again.
func (o *Origin) ejected(p config.Protocol, now time.Time) (ejected, lasts bool) {
	e, known := o.refusals(p).of(whole)
	return known && e.Holds(now), known && e.Holds(now) && e.Lasts()
}

func (o *Origin) refusals(p config.Protocol) *refusals { return &o.counts.refusals[indexOf(p)] }
