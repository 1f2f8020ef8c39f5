package push

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// The times of a trial.
const (
	// takeTime is how long a host may need for a table: to read, to check and to load it, with the slowest
	// name server and a million prefixes.
	takeTime = time.Minute

	// goneTime is how long a report may be missing: an upgrade has a new process write it.
	goneTime = fleet.LeaseTime / 2
)

// trial is one stage as the reports of the hosts show it. The goroutine of the push owns it, feeds it with
// reports and the time, and acts on its verdicts: it does no I/O, so a test can walk it through an hour.
//
// Reports come late, and one can be older than the pointer: a host's outcome counts only if its serial is that
// of the trial.
type trial struct {
	table  fleet.Hash
	serial int64    // of the pointer that names it
	hosts  []string // that take the table, with those of the stages before
	hold   time.Duration
	began  time.Time

	before    map[string]fleet.Report // of all hosts, when the stage began
	reference reference               // to compare with where there are no conns of others

	serving  map[string]bool      // hosts that have reported the table
	ready    map[string]bool      // hosts that were ready, before or on the table
	draining map[string]bool      // hosts that an operator drains: they may stop
	missing  map[string]time.Time // hosts without a report, and since when
	gone     map[string]bool      // hosts that have stopped, after a drain
	held     time.Time            // when the last host reported the table; zero: not yet
	renewals renewals
}

// outcome is what becomes of a stage.
type outcome int

const (
	waiting outcome = iota // for hosts to take the table
	holding                // all have it, for less than the hold
	passed
	failed
)

// verdict is what the reports say about a stage at one moment.
type verdict struct {
	outcome outcome
	taken   []string // hosts that report the table for the first time
	tried   fleet.Totals
	others  fleet.Totals
	failure failure
}

// failure says why a stage does not go on. It is an error that an operator reads.
type failure struct {
	host string // "": not one alone
	why  string
	cure string
}

// newTrial begins a stage with the reports that are there before the pointer is moved.
func newTrial(table fleet.Hash, hosts []string, reports []fleet.Report, hold time.Duration, now time.Time) *trial {
	t := &trial{
		table: table, hosts: hosts, hold: hold, began: now,
		before: byHost(reports), serving: map[string]bool{}, ready: map[string]bool{},
		draining: map[string]bool{}, missing: map[string]time.Time{}, gone: map[string]bool{},
	}
	for _, r := range reports {
		t.ready[r.Host], t.draining[r.Host] = idle(r) == 0, r.Draining
	}
	return t
}

// look judges the stage by what its hosts report now. It goes on only while each of them is on the table and
// ready, and their conns do not end worse than elsewhere.
func (t *trial) look(reports []fleet.Report, now time.Time) (v verdict) {
	by := byHost(reports)
	t.renewals.look(reports, now)
	for _, host := range t.hosts {
		r, there := by[host]
		wasServing := t.serving[host]
		if why, cure := t.lookAt(host, r, there, now); why != "" {
			return verdict{outcome: failed, failure: failure{host, why, cure}}
		}
		if t.serving[host] && !wasServing {
			v.taken = append(v.taken, host)
		}
	}
	v.tried, v.others = t.counted(by)
	if f := t.compare(by, v.tried, v.others); f.why != "" {
		v.outcome, v.failure = failed, f
		return v
	}
	v.outcome, v.failure = t.progress(now)
	return v
}

// lookAt judges one host, and notes what it does. It returns why the host has failed, and what to do.
func (t *trial) lookAt(host string, r fleet.Report, there bool, now time.Time) (why, cure string) {
	if t.gone[host] {
		return "", ""
	}
	if !there {
		return t.lookForMissing(host, now)
	}
	delete(t.missing, host)
	t.draining[host] = t.draining[host] || r.Draining
	switch {
	case t.renewals.stale(host, now):
		return fmt.Sprintf("has not renewed its report for %v: it hangs, or the source takes no reports", staleTime), "see anyport status on that host"
	// An error of an earlier trial of the same table does not count: the operator may have mended the host since.
	case r.Serial >= t.serial && r.ErrorTable == t.table && r.Table != t.table && r.LastError != "":
		return "refused the table: " + strings.ReplaceAll(r.LastError, "\n", "\n    "), "mend the file, or what this host lacks, and push again"
	case t.serving[host] && r.Table != t.table:
		return "serves another table again: " + r.Table.Short(), "see its log"
	// With the guard against crash loops a host that died comes back with the table before, ready and without an error.
	case r.Instance != t.before[host].Instance: // that of an upgrade is the same
		return "has a process that began again at " + r.Began.Format(time.TimeOnly) + ": it may have died of the table", "see its log"
	}
	if r.Table == t.table {
		t.serving[host] = true
		if !r.Ready && t.ready[host] && !r.Draining {
			return "is not ready any more", "see anyport status on that host"
		}
		t.ready[host] = t.ready[host] || r.Ready
	}
	return "", ""
}

// lookForMissing judges a host without a report: it may stop after a drain.
func (t *trial) lookForMissing(host string, now time.Time) (why, cure string) {
	if t.missing[host].IsZero() {
		t.missing[host] = now
	}
	switch {
	case t.draining[host]:
		t.gone[host] = true
	case now.Sub(t.missing[host]) >= goneTime:
		return "has no report any more: it has stopped, or lost its contact with the source", "see its log"
	}
	return "", ""
}

// counted is what the hosts of the stage, and all others, have counted since the stage began. Those who
// took no conns, or take none now, show nothing.
func (t *trial) counted(by map[string]fleet.Report) (tried, others fleet.Totals) {
	for host, r := range by {
		before, known := t.before[host]
		switch {
		case !known:
		case slices.Contains(t.hosts, host):
			tried = plus(tried, since(before.Totals, r.Totals))
		case r.Table != t.table:
			others = plus(others, since(before.Totals, r.Totals))
		}
	}
	if others.Conns == 0 {
		others = t.reference.sum
	}
	return tried, others
}

// othersOf is what one host is compared with.
func (t *trial) othersOf(host string, others fleet.Totals) fleet.Totals {
	if own, known := t.reference.own[host]; known && others == t.reference.sum {
		return own
	}
	return others
}

// compare judges the conns of all hosts of the stage together, and those of each: one bad host among a hundred
// does not show in the sum.
func (t *trial) compare(by map[string]fleet.Report, tried, others fleet.Totals) failure {
	const cure = "see anyport origins and the log on that host"
	tests := len(t.hosts) + 1
	worst, most := failure{}, 0.0
	_, sum := worse(tried, others, tests)
	for _, host := range t.hosts {
		r, there := by[host]
		if !there {
			continue
		}
		counts := since(t.before[host].Totals, r.Totals)
		name, why := worse(counts, t.othersOf(host, others), tests)
		bad := badPart(counts)
		if name != "" && bad >= most {
			worst, most = failure{host, why, cure}, bad
		}
	}
	if worst.why == "" && sum != "" {
		worst = failure{"", sum, "see anyport origins and the log on these hosts"}
	}
	return worst
}

// badPart is the part of conns that ended badly, in whatever way.
func badPart(c fleet.Totals) float64 {
	bad := c.Refused + c.Failed + c.Reset
	return float64(bad) / float64(max(c.Conns, bad, 1))
}

// progress says how far a stage is where nothing is wrong. The hold begins with the last host: until then the first
// ones are judged already, but the stage is not what is being held.
func (t *trial) progress(now time.Time) (outcome, failure) {
	for _, host := range t.hosts {
		switch {
		case t.serving[host] || t.gone[host]:
		case now.Sub(t.began) >= takeTime:
			return failed, failure{host, fmt.Sprintf("does not serve the table after %v", takeTime), "see its log"}
		default:
			return waiting, failure{}
		}
	}
	if t.held.IsZero() {
		t.held = now
	}
	if now.Sub(t.held) < t.hold || slices.ContainsFunc(t.hosts, t.isMissing) {
		return holding, failure{}
	}
	return passed, failure{}
}

// isMissing reports whether a host has no report now, and it is open what has become of it: a stage that passed would
// leave it out of the next one.
func (t *trial) isMissing(host string) bool { return !t.missing[host].IsZero() && !t.gone[host] }

// Error is what an operator reads of a stage that has failed.
func (f failure) Error() string {
	if f.host == "" {
		return f.why
	}
	return fmt.Sprintf("%s %s", f.host, f.why)
}
