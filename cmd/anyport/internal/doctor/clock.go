package doctor

import (
	"context"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"anyport/config"
)

// readClock asks the kernel whether a time daemon keeps its clock right. It changes nothing.
func readClock(_ context.Context, f *Facts) error {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return os.NewSyscallError("adjtimex", err)
	}
	f.ClockSynced = t.Status&unix.STA_UNSYNC == 0
	return nil
}

// checkClock: routes with active begin and end by the clock of this host, and knocks are dated.
func checkClock(f *Facts) []Finding {
	scheduled := func(r *config.Route) bool { return len(r.Active) > 0 }
	why := "routes with active begin and end by it"
	switch {
	case f.Config != nil && slices.ContainsFunc(f.Config.Routes, scheduled):
	case f.Config != nil && f.Config.TakesKnocks():
		why = "knocks count for a minute by it"
	default:
		return ok("no route has active or needs a dated knock")
	}
	if !f.ClockSynced {
		return warn("timedatectl set-ntp true   # or start chrony or ntpd",
			why, "no time daemon keeps the clock of this host right")
	}
	return ok("a time daemon keeps it right")
}
