package udp

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/datagram"
	"anyport/proxy/header"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// refused takes an ICMP error that a datagram of f brought: the origin is left out for a
// while, and f goes on with another one. The socket stays usable (the error is gone once it is
// read), so where no other origin is willing f stays where it is.
func (l *loop) refused(f *flow, err error, now time.Duration) {
	lasts := l.table.refusal(f.route, f.origin, f.originPort(), err, now)
	l.mirror(f, err)
	if first := l.copies.of(f); leaves(f.stage, err, lasts) && l.move(f, now) && f.stage == unanswered {
		l.sendAgain(f, first)
	}
}

// mirror has the kernel refuse the dst of f to the next clients, where its route wants that.
func (l *loop) mirror(f *flow, err error) {
	if err == unix.ECONNREFUSED {
		l.mirrored.Refused(f.route, config.UDP, f.dst())
	}
}

// met is refused for what a send has met, where f cannot move: it does so with its next datagram.
func (l *loop) met(f *flow, err error) {
	l.table.refusal(f.route, f.origin, f.originPort(), err, l.now())
	l.mirror(f, err)
}

func (l *loop) say(level slog.Level, text string, args ...any) {
	l.log.Log(context.Background(), level, text, args...)
}

// leaves decides whether a flow that was refused goes to another origin. Nothing is lost with
// an origin that never answered. "Port unreachable" comes from the origin's own host: the
// service has ended, and all that it knew of the flow. Other errors come from the way there,
// which may heal with the service intact (as RFC 1122 §4.2.3.9 has it for TCP): an answered
// flow waits until the origin has refused again.
func leaves(s stage, err error, lasts bool) bool {
	return s == unanswered || err == unix.ECONNREFUSED || lasts
}

// move has f go on with another origin, and reports whether there is one.
func (l *loop) move(f *flow, now time.Duration) bool {
	l.out.flush() // what waits is for the origin that f has now
	return l.table.move(f, now)
}

// sendAgain sends the first datagram of f, which one origin has refused, to the next, if there
// is still a copy.
func (l *loop) sendAgain(f *flow, first *firstDatagram) {
	if first == nil {
		return
	}
	l.copies.keep(f, first.payload, first.class) // the next may refuse it as well
	l.toOrigin(f, first.payload, first.class)
	l.out.flush()
}

// forsaken reports whether f is with an origin that refuses, as another flow has found out, or a
// datagram of f's own: an ICMP error does not always name the flow.
func (t *table) forsaken(f *flow, now time.Duration) bool {
	refuses, lasts := f.origin.Refuses(f.originPort(), t.epoch.Add(now))
	return refuses && (f.stage == unanswered || lasts)
}

// move gives f a socket to another origin that may take it, and reports whether there is one.
// Without one f stays as it is.
func (t *table) move(f *flow, now time.Duration) bool {
	tried := []*origin.Origin{f.origin}
	if !f.route.Origins.HasWilling(f.key.dst.Port, tried, t.epoch.Add(now)) {
		return false
	}
	lead, err := header.Datagram(f.route.ProxyProtocol, f.client(), f.dst())
	if err != nil {
		return false
	}
	before := *f
	f.exit, f.shared = nil, nil
	if t.reach(f, tried, now) != route.Admitted {
		f.origin, f.generation, f.fd, f.exit, f.shared = before.origin, before.generation, before.fd, before.exit, before.shared
		return false
	}
	f.header, f.headerOnce = lead, f.route.ProxyProtocol == config.ProxyV2First
	f.paths[route.ToOrigin] = datagram.Path{}
	f.appetite = appetite{}
	t.sockets.hangUp(&before)
	before.origin.End()
	return true
}

// refusal notes that an origin has refused a port, says so when it begins, and reports whether
// the origin goes on refusing.
func (t *table) refusal(r *route.Route, o *origin.Origin, port uint16, err error, now time.Duration) (lasts bool) {
	refused := o.Refuse(port, err != unix.ECONNREFUSED, t.epoch.Add(now))
	if !refused.First {
		return refused.Lasts
	}
	level := slog.LevelDebug // an origin with many ports has closed ones, which a scan finds
	if refused.Whole {
		level = slog.LevelWarn
	}
	t.say(level, "an origin refuses datagrams: new flows go to the others for a while",
		"route", r.Name, "origin", o.Text, "port", port, "error", err)
	return refused.Lasts
}

// originAnswers notes that an origin has answered, and says so where it had refused.
func (t *table) originAnswers(f *flow) {
	if port := f.originPort(); f.origin.Answer(port) {
		t.say(slog.LevelInfo, "an origin answers datagrams again", "route", f.route.Name, "origin", f.origin.Text, "port", port)
	}
}
