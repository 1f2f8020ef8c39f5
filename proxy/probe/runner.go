package probe

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"anyport/proxy/health"
)

// Target is an origin of a route, and its check.
type Target struct {
	Check
	Subject
}

// Runner makes checks from Run's begin to its end. Set may be called at any time.
type Runner struct {
	log     *slog.Logger
	changed func(down bool) // told after origins have changed; must not block

	wake  chan struct{} // the schedule has changed
	slots chan struct{} // a token for each check in progress; made by Run

	mu       sync.Mutex // guards all below, and the jobs
	jobs     map[Check]*job
	schedule schedule
	told     time.Time // when the log last said that checks are late
}

// NewRunner makes a Runner that has no checks.
func NewRunner(log *slog.Logger, changed func(down bool)) *Runner {
	return &Runner{log: log, changed: changed, wake: make(chan struct{}, 1), jobs: map[Check]*job{}}
}

// Set has these checks made, and no others. A check that goes on keeps its state and its time. A new
// one begins with what is known of its origins: one that is down must pass rise checks.
func (r *Runner) Set(targets []Target, now time.Time) {
	r.mu.Lock()
	for _, j := range r.jobs {
		j.ends, j.of = true, nil
	}
	for _, t := range targets {
		j := r.jobs[t.Check]
		if j == nil {
			rules := rulesOf(t.Check)
			j = &job{check: t.Check, counts: health.FirstChecks(t.Origin.State().Failing, rules), due: firstDue(t.Rules.Interval, now)}
			r.jobs[t.Check] = j
			r.schedule.add(j)
		}
		j.ends = false
		j.of = append(j.of, t.Subject)
		t.Origin.SetChecked(!j.counts.Up(rulesOf(t.Check)), "another route has found it down", now)
	}
	for check, j := range r.jobs {
		if j.ends {
			r.schedule.remove(j)
			delete(r.jobs, check)
		}
	}
	r.mu.Unlock()
	r.wakeUp()
}

func (r *Runner) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run makes the checks until ctx is done, and returns once none is in progress. At most atOnce of them
// are at the same time, each of which holds a file descriptor. It is called once.
func (r *Runner) Run(ctx context.Context, atOnce int) {
	r.slots = make(chan struct{}, max(atOnce, 1))
	var inProgress sync.WaitGroup
	defer inProgress.Wait()
	for {
		j, wait := r.takeDue(time.Now())
		if j == nil {
			if !r.sleep(ctx, wait) {
				return
			}
			continue
		}
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		inProgress.Go(func() { // ends with the check: within its timeout, or when ctx is done
			defer func() { <-r.slots }()
			r.check(ctx, j)
		})
	}
}

// sleep waits for a moment, a change of the schedule, or the end, which it reports as false.
func (r *Runner) sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-r.wake:
	case <-timer.C:
	}
	return true
}

// takeDue takes the next job that is due, and logs if it is late by an interval: then there are more
// checks than the file descriptors allow.
func (r *Runner) takeDue(now time.Time) (*job, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j, wait := r.schedule.takeDue(now)
	if j != nil && now.Sub(j.due) > j.check.Rules.Interval && now.Sub(r.told) > time.Minute {
		r.told = now
		r.log.Warn("health checks are late", "late", now.Sub(j.due), "checks", len(r.jobs), "at_once", cap(r.slots),
			"hint", "raise LimitNOFILE= or ulimit -n, or the interval of the checks")
	}
	return j, wait
}

// check makes one check, and notes its result.
func (r *Runner) check(ctx context.Context, j *job) {
	began := time.Now()
	result := j.check.Do(ctx)
	if ctx.Err() != nil { // it was cut short, which says nothing
		return
	}
	changed, down := r.note(j, result, began)
	r.wakeUp()
	if changed && r.changed != nil {
		r.changed(down)
	}
}

// note counts a result, tells the origins, and puts the job back into the schedule.
func (r *Runner) note(j *job, result health.Result, began time.Time) (changed, down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j.ends {
		return false, false
	}
	rules := rulesOf(j.check)
	before := j.counts.Up(rules)
	j.counts = j.counts.After(result.Passed(), rules)
	up := j.counts.Up(rules)
	for _, s := range j.of {
		s.Origin.SetResult(&result)
		s.Origin.SetChecked(!up, result.Failed, result.At)
	}
	if up != before {
		r.logChange(j, up, result)
	}
	j.reschedule(began, time.Now())
	r.schedule.add(j)
	return up != before, !up
}

// logChange logs a change once, however many routes have the origin.
func (r *Runner) logChange(j *job, up bool, result health.Result) {
	args := []any{"origin", j.of[0].Origin.Text, "route", j.of[0].Route, "check", fmt.Sprintf("%s %v", j.check.Rules.Type, j.check.To)}
	if more := len(j.of) - 1; more > 0 {
		args = append(args, "and_others", more)
	}
	if up {
		r.log.Info("an origin is up: its checks pass", append(args, "rise", j.check.Rules.Rise)...)
		return
	}
	r.log.Warn("an origin is down: its checks fail", append(args, "because", result.Failed, "fall", j.check.Rules.Fall)...)
}

// Len is the number of checks.
func (r *Runner) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.jobs)
}

func rulesOf(c Check) health.Rules { return health.Rules{Rise: c.Rules.Rise, Fall: c.Rules.Fall} }
