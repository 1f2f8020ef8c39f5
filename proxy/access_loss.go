package proxy

import (
	"errors"
	"time"
)

const (
	// lossPause is how long the log hears nothing more of lines that are lost.
	lossPause = 10 * time.Second
	// causePause is how long the log hears nothing more of the same cause in the same file.
	causePause = time.Minute
)

// errBehind is why lines are lost that the file has not refused.
var errBehind = errors.New("lines come faster than the file takes them")

// losses decides when the log is told of lines that are lost, and whether with the cause: the writes that
// fail on one full disk are many, and one line that names the error is enough.
type losses struct {
	untold uint64 // lines that the log has not been told of
	cause  error  // of these, the first that is not named; nil: all are

	told    time.Time // when the log was told last
	named   string    // the last cause that the log was told of
	namedAt time.Time
}

// loss is what the log is told.
type loss struct {
	lines uint64
	cause error // nil: it was named not long ago
}

// note adds lost lines and their cause. An error of the file is better known than that it is slow.
func (l *losses) note(lost uint64, cause error, now time.Time) {
	l.untold += lost
	if (l.cause == nil || l.cause == errBehind) && cause != nil && (cause.Error() != l.named || now.Sub(l.namedAt) >= causePause) {
		l.cause = cause
	}
}

// endOfFile has what is untold be told at once. In the next file the same cause is named again.
func (l *losses) endOfFile() {
	l.told, l.named = time.Time{}, ""
}

// tell returns what the log is to be told now, of no lines where it is nothing.
func (l *losses) tell(now time.Time) (of loss) {
	if l.untold == 0 || l.wait(now) > 0 {
		return of
	}
	of = loss{l.untold, l.cause}
	l.untold, l.cause, l.told = 0, nil, now
	if of.cause != nil {
		l.named, l.namedAt = of.cause.Error(), now
	}
	return of
}

// wait is how long tell has nothing to say, whatever is lost.
func (l *losses) wait(now time.Time) time.Duration {
	if l.told.IsZero() {
		return 0
	}
	return max(0, l.told.Add(lossPause).Sub(now))
}
