package flow_test

import (
	"testing"
	"time"

	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// TestProgress: a live flow is recorded at each multiple of the interval, and once at its end; a reload
// turns that on, changes it, and turns it off.
func TestProgress(t *testing.T) {
	l := newTestLoop(10, live(to(originAddr), dst1))
	record := func(r route.Record) { l.records = append(l.records, r) }
	k := flow.KeyOf(client1, dst1)
	l.datagram(k, 5, 0)
	turn := func(now time.Duration) (lines, ends int) {
		l.reload(now)
		l.expire(now)
		for _, r := range l.records {
			if r.ID == 0 || r.Sent[route.ToOrigin] != (route.Sent{Bytes: 5, Packets: 1}) || r.Live && r.Took != now {
				t.Errorf("at %v: %+v", now, r)
			}
			if r.Live {
				lines++
			} else {
				ends++
			}
		}
		l.records = nil
		return lines, ends
	}
	for _, step := range []struct {
		at, every   time.Duration // every: a new interval from here; 0: as before; -1: off
		lines, ends int
	}{
		{at: 1 * time.Minute},
		{at: 2 * time.Minute, every: 10 * time.Minute},
		{at: 9 * time.Minute},
		{at: 10 * time.Minute, lines: 1},
		{at: 11 * time.Minute},
		{at: 21 * time.Minute, lines: 1}, // the one of 20 minutes, late
		{at: 31 * time.Minute, every: 4 * time.Minute},
		{at: 32 * time.Minute, lines: 1},
		{at: 40 * time.Minute, every: -1},
		{at: 50 * time.Minute},
		{at: 61 * time.Minute, every: -1, ends: 1},
	} {
		if step.every != 0 {
			l.routes.SetRecording(route.Recording{To: record, Share: 1, Progress: max(0, step.every)})
		}
		if lines, ends := turn(step.at); lines != step.lines || ends != step.ends {
			t.Errorf("at %v: %d lines and %d ends, want %d and %d", step.at, lines, ends, step.lines, step.ends)
		}
	}
}
