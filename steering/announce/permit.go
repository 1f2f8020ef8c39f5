package announce

import (
	"context"
	"time"
)

// How often others are asked whether a withdrawal that waits may happen, and how long the answer may take.
const askInterval, askTimeout = 2 * time.Second, time.Second

// Permit reports whether this host may withdraw prefixes: enough others of its fleet announce theirs.
type Permit func(context.Context) (bool, error)

// ask returns why something that has to be withdrawn may not be; "" if all may.
func (a *Announcer) ask(ctx context.Context, f Facts, permit Permit) (permitted bool, why string) {
	a.mu.Lock()
	would := a.book.wouldWithdraw(f)
	recent := f.Now.Sub(a.asked) < askInterval
	why = a.refused
	if would && !recent {
		a.asked = f.Now
	}
	a.mu.Unlock()
	switch {
	case permit == nil || !would:
		return true, ""
	case recent && why != "": // asked a moment ago
		return false, why
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ok, err := permit(ctx)
	switch {
	case err != nil:
		return false, "whether other hosts announce is not known: " + err.Error()
	case !ok:
		return false, "too few other hosts announce: see announce.min_hosts"
	}
	return true, ""
}
