package daemon

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/filelimit"
	"anyport/proxy/fdbudget"
)

const (
	// mostLowFDs is what an upgrade needs, which needs the most.
	mostLowFDs = 32
	// lowFDsPart bounds them to this part of the limit: conns and flows cannot use them.
	lowFDsPart = 16
)

// lowFDs are open file descriptors with low numbers that are used for nothing. RLIMIT_NOFILE bounds the
// number of a descriptor, not how many are open: if somebody lowers it below what conns and flows hold,
// no file can be opened until one with a low number is closed. Then these are. The budget of files counts
// them as held by the process itself, so that the reserve is left beside them.
type lowFDs struct{ fds []int }

// keep opens them until there are n, or no more can be opened.
func (p *lowFDs) keep(n int) {
	for len(p.fds) < n {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return
		}
		p.fds = append(p.fds, fd)
	}
}

// release closes them.
func (p *lowFDs) release() {
	for _, fd := range p.fds {
		unix.Close(fd)
	}
	p.fds = nil
}

// openLowFDs comes before everything else that the process opens or takes over: so they get low numbers.
func (d *daemon) openLowFDs() {
	d.lowFDs.keep(min(mostLowFDs, filelimit.Current()/lowFDsPart))
	d.closers = append(d.closers, func() error { d.lowFDs.release(); return nil })
}

// fileLimitInterval is the time between two looks at the limit.
const fileLimitInterval = time.Second

// watchFileLimit divides the files again when somebody has changed their limit. It returns when ctx ends.
func (d *daemon) watchFileLimit(ctx context.Context) {
	every(ctx, fileLimitInterval, func() { d.fitFiles(filelimit.Current()) })
}

// fitFiles divides the files again if the limit has changed, and keeps or releases the low ones. Only
// watchFileLimit calls it.
func (d *daemon) fitFiles(limit int) {
	if before := d.proxy.Budget(); limit != before.Limit {
		budget := fdbudget.Fit(limit, before.Process)
		d.proxy.ChangeFiles(budget)
		d.logFileLimit(before, budget)
	}
	switch used := d.proxy.Files(); {
	case limit >= int(d.files):
		d.lowFDs.keep(min(mostLowFDs, limit/lowFDsPart))
	case used.All()+used.Reserve > limit:
		d.lowFDs.release()
	}
}

// logFileLimit logs a new limit and what it means.
func (d *daemon) logFileLimit(before, now fdbudget.Budget) {
	about := []any{"files", now.Limit, "were", before.Limit, "files_used", d.proxy.Files().All()}
	switch {
	case now.Limit > before.Limit:
		d.log.Info("somebody has raised the limit of file descriptors", about...)
	case now.Common == 0:
		d.log.Warn("somebody has lowered the limit of file descriptors: live conns and flows go on, new ones are not taken", append(about, "hint", "raise it again: prlimit --nofile")...)
	default:
		d.log.Warn("somebody has lowered the limit of file descriptors: new conns and flows have less room", about...)
	}
}
