package origin

import (
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// Failed notes that o did not take a conn or flow. telling says whether that is of o as a whole.
func (p *Pool) Failed(o *Origin, protocol config.Protocol, f Failure, telling bool, now time.Time) *Alarm {
	o.counts.errors[f.Class].Add(1)
	o.failures(protocol).note(f, telling, now)
	return p.raiseAlarm(o, protocol, now)
}

// Succeeded notes that o took a conn, or answered a flow.
func (p *Pool) Succeeded(o *Origin, protocol config.Protocol, now time.Time) *Alarm {
	if !o.failures(protocol).succeed() && !p.alarms[indexOf(protocol)].up.Load() {
		return nil
	}
	return p.endAlarm(o, protocol, now)
}

// raiseAlarm raises the alarm if all origins fail; o is the one that has failed last.
func (p *Pool) raiseAlarm(o *Origin, protocol config.Protocol, now time.Time) *Alarm {
	if !p.allFail(protocol) {
		return nil
	}
	due, omitted := p.alarms[indexOf(protocol)].raise(now)
	if !due {
		return nil
	}
	return &Alarm{route: p.route.Name, protocol: protocol, origin: o, omitted: omitted}
}

// endAlarm ends the alarm, if it is up: o serves.
func (p *Pool) endAlarm(o *Origin, protocol config.Protocol, now time.Time) *Alarm {
	due, since := p.alarms[indexOf(protocol)].end(now)
	if !due {
		return nil
	}
	return &Alarm{route: p.route.Name, protocol: protocol, origin: o, over: true, lasted: now.Sub(since)}
}

// ChecksChanged looks at the alarms after checks have found origins down or up.
func (p *Pool) ChecksChanged(now time.Time) (alarms []*Alarm) {
	for _, protocol := range p.route.Protocols {
		for _, o := range p.Origins {
			switch standing := o.Standing(); {
			case standing == health.CheckFailed:
				alarms = append(alarms, p.raiseAlarm(o, protocol, now))
			case standing == health.Up && !o.failures(protocol).fails():
				alarms = append(alarms, p.endAlarm(o, protocol, now))
			}
		}
	}
	return alarms
}

// RestoreAlarms raises the alarms that another process had, after its states were restored. It has
// logged them.
func (p *Pool) RestoreAlarms() {
	for _, protocol := range p.route.Protocols {
		if p.allFail(protocol) {
			p.alarms[indexOf(protocol)].restore(p.failingSince(protocol))
		}
	}
}

// failingSince is since when the last of the origins that fail does so.
func (p *Pool) failingSince(protocol config.Protocol) (since time.Time) {
	for _, o := range p.Origins {
		if last, failing := o.LastFailure(protocol); failing && last.Since.After(since) {
			since = last.Since
		}
		if state := o.State(); state.Failing && state.Since.After(since) {
			since = state.Since
		}
	}
	return since
}

// AllFailSince is since when all origins of the route fail over a protocol; not ok if one of them does not.
func (p *Pool) AllFailSince(protocol config.Protocol) (since time.Time, ok bool) {
	a := &p.alarms[indexOf(protocol)]
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since, a.up.Load()
}

// allFail reports whether each origin that may be picked at all fails, by its dials or its checks.
func (p *Pool) allFail(protocol config.Protocol) bool {
	serving := 0
	for _, o := range p.Origins {
		standing := o.Standing()
		if standing.Excluded() {
			continue
		}
		if standing != health.CheckFailed && !o.failures(protocol).fails() {
			return false
		}
		serving++
	}
	return serving > 0
}
