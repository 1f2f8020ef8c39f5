package accesslog

import (
	"errors"
	"time"
)

const (
	// lossPause is the least time between two reports of lost lines.
	lossPause = 10 * time.Second
	// causePause is the least time between two reports that name the same cause in the same file.
	causePause = time.Minute
)

// errBehind is why lines are lost that the file has not refused.
var errBehind = errors.New("lines come faster than the file takes them")

// losses decides when lost lines of the access log are reported in the log, and whether with the cause: many
// writes fail on one full disk, and one line that names the error is enough. It belongs to the goroutine that
// writes the access log.
type losses struct {
	unreported uint64 // lost lines
	cause      error  // of these, the first that is not named; nil: all are

	reported time.Time // when the last report was; zero: none in this file
	named    string    // the last cause that a report named
	namedAt  time.Time
}

// loss is a report.
type loss struct {
	lines uint64
	cause error // nil: it was named not long ago
}

// note adds lost lines and their cause. An error of the file is better known than that it is slow.
func (l *losses) note(lost uint64, cause error, now time.Time) {
	l.unreported += lost
	if (l.cause == nil || l.cause == errBehind) && cause != nil && (cause.Error() != l.named || now.Sub(l.namedAt) >= causePause) {
		l.cause = cause
	}
}

// endOfFile makes the next report due at once. In the next file the same cause is named again.
func (l *losses) endOfFile() {
	l.reported, l.named = time.Time{}, ""
}

// report returns the report that is due now; one of no lines: none is.
func (l *losses) report(now time.Time) (of loss) {
	if l.unreported == 0 || l.wait(now) > 0 {
		return of
	}
	of = loss{l.unreported, l.cause}
	l.unreported, l.cause, l.reported = 0, nil, now
	if of.cause != nil {
		l.named, l.namedAt = of.cause.Error(), now
	}
	return of
}

// wait is how long no report is due, whatever is lost.
func (l *losses) wait(now time.Time) time.Duration {
	if l.reported.IsZero() {
		return 0
	}
	return max(0, l.reported.Add(lossPause).Sub(now))
}
