package flow

import (
	"container/heap"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// record records what began no flow here.
func (t *Table[S]) record(r route.Record) {
	if to := t.opt.Routes.Recording().To; to != nil {
		to(r)
	}
	if to := t.opt.Routes.Trace(); to != nil {
		to(route.Traced{At: time.Now(), Step: route.StepEnded, Record: r})
	}
}

// trace tells whoever traces that a flow has come to a step before its end; End tells of that.
func (t *Table[S]) trace(f *Flow[S], step route.Step, failure origin.Failure) {
	to := t.opt.Routes.Trace()
	if to == nil {
		return
	}
	now := time.Now()
	r := t.recordOf(f, netip.AddrPort{}, route.Admitted, now.Sub(t.opt.Epoch))
	r.Live, r.Error, r.Errno = true, failure.Class, failure.Errno
	to(route.Traced{At: now, Step: step, Record: r})
}

// recordOf is the record of a flow as it is now.
func (t *Table[S]) recordOf(f *Flow[S], source netip.AddrPort, verdict route.Verdict, now time.Duration) route.Record {
	return route.Record{
		ID: f.ID, Begun: t.opt.Epoch.Add(f.begun), Took: now - f.begun, Protocol: config.UDP, Route: f.Route.Name,
		Client: f.Client(), Peer: f.Key.peer(), Dst: f.Dst(), Origin: f.OriginAddr(), Source: source,
		Sent:     [2]route.Sent{{Bytes: f.toOrigin, Packets: f.packets[route.ToOrigin]}, {Bytes: f.toClient, Packets: f.packets[route.ToClient]}},
		Attempts: int(f.attempts), Verdict: verdict, Phase: route.InData, Path: f.carriedBy(), UniqueID: f.uniqueID(),
	}
}

// wanted reports whether the end of the flow is recorded.
func (f *Flow[S]) wanted(r *route.Recording, verdict route.Verdict) bool {
	return r.Wants(f.ID, config.UDP, verdict, int(f.attempts))
}

// WantsRecord reports whether the end of f is recorded with that verdict, so that its source is needed.
func (t *Table[S]) WantsRecord(f *Flow[S], verdict route.Verdict) bool {
	return f.wanted(t.opt.Routes.Recording(), verdict) || t.opt.Routes.Trace() != nil
}

// RecordProgress records a live flow.
func (t *Table[S]) RecordProgress(f *Flow[S], source netip.AddrPort, now time.Duration) {
	if !t.recording.WantsProgress(f.ID) {
		return
	}
	r := t.recordOf(f, source, route.Admitted, now)
	r.Live = true
	t.recording.To(r)
}

// nextLook is when the flow is looked at next: at its end, or before it for the access log.
func (t *Table[S]) nextLook(f *Flow[S], now time.Duration) time.Duration {
	end, _ := f.end()
	if at, ok := t.recording.NextProgress(f.ID, f.begun, now); ok {
		return min(at, end)
	}
	return end
}

// progressDue reports whether the flow was to be looked at now for the access log.
func (t *Table[S]) progressDue(f *Flow[S]) bool {
	since := f.deadline - f.begun
	return t.recording.WantsProgress(f.ID) && since > 0 && since%t.recording.Progress == 0
}

// applyRecording applies to live flows that the access log, or the time between its lines, has changed.
func (t *Table[S]) applyRecording(now time.Duration) {
	before := t.recording
	t.recording = t.opt.Routes.Recording()
	if t.recording.SameProgress(before) {
		return
	}
	for _, f := range t.deadlines {
		f.deadline = t.nextLook(f, now)
	}
	heap.Init(&t.deadlines)
}
