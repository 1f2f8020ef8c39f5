package route

import (
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// TestTrends: peaks and averages are over all loops, an outage is while no origin is up, and a reload keeps
// them.
func TestTrends(t *testing.T) {
	file := []*config.Route{{Name: "r", Origins: []config.Origin{{Text: "a", Weight: 1}, {Text: "b", Weight: 1}}}}
	l := NewLive(2)
	l.Swap(nothing{}, file)
	r, now := l.Set().Routes[0], time.Unix(1_800_000_000, 0)
	tick := func(wait time.Duration) { now = now.Add(wait); r.Look(wait, now) }
	tick(time.Second)
	for shard := range 2 {
		for range 5 {
			r.Stats.Shard(shard).Arrive(config.TCP)
			r.Stats.Shard(shard).Connected(time.Duration(1+shard) * time.Millisecond)
			r.Stats.Shard(shard).Served(config.UDP, time.Duration(1+shard)*time.Minute)
		}
	}
	r.Stats.Shard(0).Waited(time.Second)
	tick(2 * time.Second)
	last := now
	tick(time.Second)
	got := r.Stats.Trends()
	if got.NewPeak != 5 || !got.LastNew.Equal(last) || got.Connect.Mean() != 1500*time.Microsecond || got.Session.Mean() != 90*time.Second || got.Wait.Mean() != time.Second || got.Outages != 0 {
		t.Errorf("%+v", got)
	}
	for i, state := range []health.Forced{health.Down, health.Drain} { // a route that only drains has an outage, too
		r.Origins().Origins[i].Force(state, "", now)
	}
	tick(time.Second)
	tick(3 * time.Second)
	r.Origins().Origins[1].Force(health.ByHealth, "", now)
	tick(time.Second)
	l.Swap(nothing{}, file)
	r = l.Set().Routes[0]
	tick(time.Second)
	if got := r.Stats.Trends(); got.Outage != 4*time.Second || got.Outages != 1 || !got.OutageAt.Equal(now.Add(-time.Second)) || got.NewPeak != 5 {
		t.Errorf("%+v", got)
	}
	next := newStats(1)
	r.Stats.Counts(next.AddCount)
	if got := next.Trends(); got.Outage != 4*time.Second || got.Outages != 1 || got.NewPeak != 0 || got.Connect.Count != 0 {
		t.Errorf("the next process: %+v", got)
	}
}
