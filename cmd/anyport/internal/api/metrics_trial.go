package api

import "anyport/cmd/anyport/internal/admin"

// The metrics of a trial, which are missing while there is none. The label side is old or new.
var (
	trialShare   = metric("trial_share_ratio", "The part of the clients that the new side of a trial serves: see anyport reload --share. Missing, with all anyport_trial metrics, while there is no trial.")
	trialSince   = metric("trial_started_timestamp_seconds", "When the trial began.")
	trialTotal   = metric("trial_connections_total", "Conns and flows that began on this side of the trial, or were refused there by anyport. It begins from 0 with each trial, as all counters of a trial.", "side")
	trialActive  = metric("trial_connections_active", "Of these, the live ones.", "side")
	trialRefused = metric("trial_refused_total", "What the file refuses on this side: conns, flows, and packets that the kernel has refused.", "side")
	trialFailed  = metric("trial_failed_total", "Conns and flows of this side that found no origin, or were lost.", "side")
	trialResets  = metric("trial_resets_total", "Conns of this side that the client or the origin has reset.", "side")
)

// trial exports both sides of a trial, nothing without one.
func (e *exporter) trial(t *admin.TrialStatus) {
	if t == nil {
		return
	}
	e.gauge(trialShare, t.SharePercent/100)
	e.gauge(trialSince, float64(t.Since.UnixMilli())/1000)
	e.side("old", t.Old)
	e.side("new", t.New)
}

func (e *exporter) side(name string, s admin.TrialSide) {
	e.counter(trialTotal, s.Conns, name)
	e.gauge(trialActive, float64(s.Active), name)
	e.counter(trialRefused, s.Refused, name)
	e.counter(trialFailed, s.Failed, name)
	e.counter(trialResets, s.Resets, name)
}
