package flow

import (
	"context"
	"log/slog"
	"time"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// PickOrigin gives f the next origin of its route that takes flows, those tried before left out. It
// reports false where there is none.
func (t *Table[S]) PickOrigin(f *Flow[S], tried []*origin.Origin, now time.Duration) bool {
	f.Origin = f.Route.Origins().Pick(f.ask(tried, t.opt.Epoch.Add(now)))
	if f.Origin == nil {
		return false
	}
	f.attempts += min(1, ^f.attempts) // stays at 255
	if n := len(tried); n > 0 {
		f.Counters.Retried(f.Origin.RetriedFrom(tried[n-1]))
	}
	return true
}

// HasFullOrigin reports whether PickOrigin could have picked an origin that is full.
func (t *Table[S]) HasFullOrigin(f *Flow[S], tried []*origin.Origin, now time.Duration) bool {
	return f.Route.Origins().HasFull(f.ask(tried, t.opt.Epoch.Add(now)))
}

// OriginsUnreachable reports whether no origin of its route can be dialled from the address of f's
// client, whatever their states are.
func (t *Table[S]) OriginsUnreachable(f *Flow[S], now time.Duration) bool {
	return f.Route.Origins().Unreachable(f.ask(nil, t.opt.Epoch.Add(now)))
}

// ask is what f needs an origin for.
func (f *Flow[S]) ask(tried []*origin.Origin, now time.Time) origin.Ask {
	return origin.Ask{Client: f.Client().Addr(), Protocol: config.UDP, Port: f.Key.Dst.Port, Tried: tried, Now: now, AsClient: f.Route.Transparent}
}

// Refusal is an ICMP error for a datagram to an origin.
type Refusal struct {
	Err        error // for the log
	PortClosed bool  // "port unreachable", from the origin's host; any other error is from the way to it
}

// NoteRefusal notes that an origin has refused a port, and logs it when it begins. It reports
// whether the origin has refused before, and was tried again since.
func (t *Table[S]) NoteRefusal(r *route.Route, o *origin.Origin, port uint16, refusal Refusal, now time.Duration) (again bool) {
	at := t.opt.Epoch.Add(now)
	refused := o.Refuse(port, !refusal.PortClosed, at)
	class, errno := origin.ClassOf(refusal.Err)
	r.Origins().Failed(o, config.UDP, origin.Failure{Class: class, Errno: errno}, refused.Whole || refused.Lasts, at).Log(t.opt.Log)
	if !refused.First {
		return refused.Lasts
	}
	level := slog.LevelDebug // an origin with many ports has closed ones, which a scan finds
	if refused.Whole {
		level = slog.LevelWarn
	}
	t.opt.Log.Log(context.Background(), level, "an origin refuses datagrams: new flows go to the others for a while",
		"route", r.Name, "origin", o.Text, "port", port, "error", refusal.Err)
	return refused.Lasts
}

// NoteDialFailed notes that the socket of a flow cannot be connected to an origin.
func (t *Table[S]) NoteDialFailed(f *Flow[S], err error, now time.Duration) {
	class, errno := origin.ClassOf(err)
	failure := origin.Failure{Class: class, Errno: errno}
	f.Route.Origins().Failed(f.Origin, config.UDP, failure, true, t.opt.Epoch.Add(now)).Log(t.opt.Log)
	t.trace(f, route.StepDialFailed, failure)
}

// noteAnswer notes that f's origin has answered, and logs it where it had refused.
func (t *Table[S]) noteAnswer(f *Flow[S], now time.Duration) {
	f.Route.Origins().Succeeded(f.Origin, config.UDP, t.opt.Epoch.Add(now)).Log(t.opt.Log)
	if port := f.OriginPort(); f.Origin.Answer(port) {
		t.opt.Log.Info("an origin answers datagrams again", "route", f.Route.Name, "origin", f.Origin.Text, "port", port)
	}
}

// LeavesOrigin decides whether a flow that was refused goes to another origin. Nothing is lost with
// an origin that never answered. "Port unreachable" comes from the origin's host: the service has
// ended, with all that it knew of the flow. Other errors come from the way there, which may heal
// with the service intact (as RFC 1122 §4.2.3.9 has it for TCP): an answered flow waits until the
// origin has refused again.
func (f *Flow[S]) LeavesOrigin(refusal Refusal, again bool) bool {
	return f.stage == Unanswered || refusal.PortClosed || again
}

// OriginRefuses reports whether f's origin refuses datagrams, as another flow has found out, or a
// datagram of f's own (an ICMP error does not always name the flow), and f is to leave it. With
// on_down = "close" f also leaves an origin that is down, unless all are tried: the next one could be
// down as well, and f would go on to another with each datagram.
func (t *Table[S]) OriginRefuses(f *Flow[S], now time.Duration) bool {
	if f.Route.OnDown == config.CloseConns && f.Origin.Standing().Down() &&
		!f.Route.Origins().TriesAll(f.ask(nil, t.opt.Epoch.Add(now))) {
		return true
	}
	refuses, again := f.Origin.Refuses(f.OriginPort(), t.opt.Epoch.Add(now))
	return refuses && (f.stage == Unanswered || again)
}

// HasOtherOrigin reports whether f can go to another origin than its own.
func (t *Table[S]) HasOtherOrigin(f *Flow[S], now time.Duration) bool {
	if !f.Route.Origins().Prefers(f.ask([]*origin.Origin{f.Origin}, t.opt.Epoch.Add(now))) {
		return false
	}
	_, err := header.Datagram(f.Route.ProxyProtocol, f.Client(), f.Key.headerDst())
	return err == nil
}

// TraceMoved tells whoever traces that f goes on with another origin.
func (t *Table[S]) TraceMoved(f *Flow[S]) { t.trace(f, route.StepMoved, origin.Failure{}) }

// Moved notes that f, after PickOrigin, has its socket to another origin than before. The new one
// gets the header of a new flow; one that precedes each datagram is the same for all origins.
func (f *Flow[S]) Moved(before *origin.Origin) {
	f.Origin.Begin()
	before.End()
	if f.lead != nil && f.lead.header == nil {
		_ = f.setHeader(f.lead.tlvs) // the flow began with it, so it can be made
	}
}
