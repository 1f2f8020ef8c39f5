package follow

import (
	"context"
	"errors"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// Why the fleet cannot be asked.
var (
	ErrNotJoined = errors.New("the source of the fleet is away, or is not an etcd")
	ErrNameTaken = errors.New("another host of the fleet has the name of this one: see anyport status")
)

// report joins, and writes reports until ctx is done. A lease that is lost is replaced by a new one. It does not
// end the contact: an etcd that is full can still be read.
func (f *Follower) report(ctx context.Context, source Source) {
	for ctx.Err() == nil {
		member, err := source.Join(ctx, f.opt.Host)
		if err == nil && member == nil {
			return
		}
		if err == nil {
			f.join(member)
			err = f.reportAs(ctx, member)
			f.join(nil)
			f.end(ctx, member)
		}
		if ctx.Err() != nil {
			return
		}
		f.reported(err)
		select {
		case <-ctx.Done():
		case <-time.After(fleet.ReportChanged):
		}
	}
}

// join notes where this host is a member.
func (f *Follower) join(member fleet.Membership) {
	f.mu.Lock()
	f.member = member
	f.mu.Unlock()
}

// end removes the report of a host that stops, unless another process takes its place: that has written a report of
// its own, or soon does.
func (f *Follower) end(ctx context.Context, member fleet.Membership) {
	f.mu.Lock()
	leave := f.leave
	f.mu.Unlock()
	if ctx.Err() == nil || leave {
		_ = member.Close(context.WithoutCancel(ctx)) // a lease that is left ends after its time
	}
}

// LeaveReport has Run end without removing the report.
func (f *Follower) LeaveReport() {
	f.mu.Lock()
	f.leave = false
	f.mu.Unlock()
}

// reportAs writes reports until the lease is lost. What has changed is written within ReportChanged, anything else
// every ReportSame.
func (f *Follower) reportAs(ctx context.Context, member fleet.Membership) error {
	var last fleet.Report
	var written time.Time
	tick := time.NewTicker(fleet.ReportChanged)
	defer tick.Stop()
	for {
		begun := time.Now()
		next := f.opt.Report()
		tick.Reset(reportPause(time.Since(begun)))
		next.Host = f.opt.Host
		same := last
		same.Written = next.Written
		if next != same || time.Since(written) >= fleet.ReportSame-fleet.ReportChanged/2 {
			err := member.Report(ctx, next)
			if errors.Is(err, fleet.ErrLeaseLost) {
				return err
			}
			if ctx.Err() == nil {
				f.reported(f.noteName(err))
			}
			if err == nil {
				last, written = next, time.Now()
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-member.Lost():
			return fleet.ErrLeaseLost
		case <-tick.C:
		case <-f.kick:
		}
	}
}

// reportShare bounds the time that reports take with very many routes, as a divisor of all time.
const reportShare = 50

// reportPause is the time until the next report, after one that took so long to make. A push waits for them: it is
// ReportSame at most.
func reportPause(took time.Duration) time.Duration {
	return min(max(fleet.ReportChanged, reportShare*took), fleet.ReportSame)
}

// noteName notes whether another host has this one's name. It returns the error of a report, nil while that may be
// because a process was killed whose lease has not ended.
func (f *Follower) noteName(err error) error {
	var taken *fleet.NameTakenError
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken = errors.As(err, &taken)
	f.status.NameTaken = f.taken && taken.Lives
	if f.taken && !taken.Lives {
		return nil
	}
	return err
}

// reported notes how the last report went.
func (f *Follower) reported(err error) {
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	f.mu.Lock()
	before := f.status.ReportProblem
	f.status.ReportProblem = problem
	f.mu.Unlock()
	switch {
	case problem == "" || problem == before:
	case errors.As(err, new(*fleet.NameTakenError)):
		f.opt.Log.Error("another host of the fleet has the name of this one", "host", f.opt.Host, "problem", problem)
	case before == "":
		f.opt.Log.Warn("cannot report to the fleet", "problem", problem)
	}
}

// ReportNow writes a report soon, if it differs from the last.
func (f *Follower) ReportNow() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// MayWithdraw asks whether this host may stop announcing.
func (f *Follower) MayWithdraw(ctx context.Context, minHosts int) (bool, error) {
	member, err := f.membership()
	if err != nil {
		return false, err
	}
	return member.MayWithdraw(ctx, minHosts)
}

// Announces takes back what MayWithdraw has noted.
func (f *Follower) Announces(ctx context.Context) error {
	member, err := f.membership()
	if err != nil {
		return err
	}
	return member.Announces(ctx)
}

// membership is an error while this host has not joined, or only a namesake of it has.
func (f *Follower) membership() (fleet.Membership, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.member == nil:
		return nil, ErrNotJoined
	case f.taken:
		return nil, ErrNameTaken
	}
	return f.member, nil
}
