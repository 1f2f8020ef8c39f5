package daemon

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/fdbudget"
)

const (
	// mostPlaces is what an upgrade needs, which needs most.
	mostPlaces = 32
	// placesPart is of the limit: conns and flows go without these.
	placesPart = 16
)

// places are file descriptors that lead nowhere and have low numbers. RLIMIT_NOFILE is a bound on the number
// of a descriptor, not on how many are open: where it is lowered below what conns and flows hold, no file can
// be opened until one with a low number is closed. These are. The budget of files has them as held by the
// process itself, since the reserve has to be left beside them.
type places struct{ fds []int }

// keep opens as many as are missing to n, as far as that goes.
func (p *places) keep(n int) {
	for len(p.fds) < n {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return
		}
		p.fds = append(p.fds, fd)
	}
}

func (p *places) release() {
	for _, fd := range p.fds {
		unix.Close(fd)
	}
	p.fds = nil
}

// keepPlaces comes before all that the process opens, and what it takes over.
func (d *daemon) keepPlaces() {
	d.places.keep(min(mostPlaces, openLimit()/placesPart))
	d.closers = append(d.closers, func() error { d.places.release(); return nil })
}

// openLimit is RLIMIT_NOFILE as it is now, which others can change by prlimit(2).
func openLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0 // it never fails
	}
	return int(min(limit.Cur, MostFiles))
}

// filesInterval is how often the limit is looked at.
const filesInterval = time.Second

// mindFiles divides the files again when somebody has changed their limit. It returns when ctx ends.
func (d *daemon) mindFiles(ctx context.Context) {
	ticker := time.NewTicker(filesInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.fitFiles(openLimit())
		}
	}
}

// fitFiles is for mindFiles alone, which is not called twice at the same time.
func (d *daemon) fitFiles(limit int) {
	if before := d.proxy.Budget(); limit != before.Limit {
		budget := fdbudget.Fit(limit, before.Process)
		d.proxy.ChangeFiles(budget)
		d.tellOfFiles(before, budget)
	}
	switch used := d.proxy.Files(); {
	case limit >= int(d.files):
		d.places.keep(min(mostPlaces, limit/placesPart))
	case used.All()+used.Reserve > limit:
		d.places.release()
	}
}

func (d *daemon) tellOfFiles(before, now fdbudget.Budget) {
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
