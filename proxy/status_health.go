package proxy

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// healthText is the health of an origin in one word. An origin that nothing is known against is only up
// if a check says so.
func healthText(o *origin.Origin, r *config.Route, now time.Time) string {
	ejected := false
	for _, p := range r.Protocols {
		ejected = ejected || o.Verdict(p, now) == health.Ejected
	}
	switch state := o.State(); {
	case o.Vanished() || state.Failing || state.Forced == health.Down || ejected:
		return "down"
	case r.Health != nil && o.LastResult() != nil:
		return "up"
	}
	return "unchecked"
}

// unreachableSince is since when all origins of a route fail, over one of its protocols; nil: they do not.
func unreachableSince(r *route.Route) (first *time.Time) {
	for _, p := range r.Protocols {
		if since, ok := r.Origins().AllFailSince(p); ok && (first == nil || since.Before(*first)) {
			first = &since
		}
	}
	return first
}

// noteErrors adds the errors of an origin to its status.
func noteErrors(status *OriginStatus, o *origin.Origin) {
	status.ConnectErrors = map[string]uint64{}
	for c := origin.NoError + 1; c < origin.ErrorClasses; c++ {
		if n := o.Errors(c); n > 0 {
			status.ConnectErrors[c.String()] = n
		}
	}
	last, failing := lastFailure(o)
	if last == nil {
		return
	}
	status.LastError, status.LastErrorAt = last.Class.String(), &last.At
	if last.Errno != 0 {
		status.LastErrno = unix.ErrnoName(last.Errno)
	}
	if failing {
		status.FailingSince = &last.Since
	}
}

// lastFailure is the newest failure of an origin; over the protocol that fails, if only one of them does.
func lastFailure(o *origin.Origin) (last *origin.LastFailure, failing bool) {
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		of, fails := o.LastFailure(p)
		if of != nil && (last == nil || fails && !failing || fails == failing && of.At.After(last.At)) {
			last, failing = of, fails
		}
	}
	return last, failing
}
