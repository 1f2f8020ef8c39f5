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

// checkClock: routes with active begin and end by the clock of this host.
func checkClock(f *Facts) []Finding {
	scheduled := func(r *config.Route) bool { return len(r.Active) > 0 }
	if f.Config == nil || !slices.ContainsFunc(f.Config.Routes, scheduled) {
		return ok("no route has active")
	}
	if !f.ClockSynced {
		return warn("timedatectl set-ntp true   # or start chrony or ntpd",
			"routes with active begin and end by it", "no time daemon keeps the clock of this host right")
	}
	return ok("a time daemon keeps it right")
}
