// Package ratelog logs faults that any packet can meet: a flood of packets must not become
// a flood of lines.
package ratelog

import (
	"log/slog"
	"time"
)

// quiet is the least time between two lines about one fault.
const quiet = time.Second

// Log writes a line about each fault once a second at most. It belongs to one event loop.
type Log struct {
	*slog.Logger
	faults map[string]*silence // by text: those that stand in the source
}

// silence is what is kept of a fault that was told.
type silence struct {
	until   time.Duration
	omitted int
}

// Warn logs a fault, at a moment since the loop began. The text names the fault, so it must
// be a constant; what differs from packet to packet goes to args.
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
