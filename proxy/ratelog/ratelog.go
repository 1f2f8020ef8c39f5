package ratelog

import (
	"log/slog"
	"time"
)

// quiet is the least time between two lines about one fault.
const quiet = time.Second

// Log writes at most one line a second about each fault. It belongs to one event loop.
type Log struct {
	*slog.Logger
	faults map[string]*silence // by text: as many as there are in the source
}

// silence is the state of a fault that was logged.
type silence struct {
	until   time.Duration
	omitted int // lines since
}

// Warn logs a fault at now, a duration since the loop began. text identifies the fault, so it must be a
// constant; what differs from packet to packet goes to args.
func (l *Log) Warn(now time.Duration, text string, args ...any) {
	s := l.faults[text]
	switch {
	case s == nil:
		s = &silence{}
		if l.faults == nil {
			l.faults = map[string]*silence{}
		}
		l.faults[text] = s
	case now < s.until:
		s.omitted++
		return
	}
	if s.omitted > 0 {
		args = append(args, "lines_omitted", s.omitted)
	}
	l.Logger.Warn(text, args...)
	*s = silence{until: now + quiet}
}
