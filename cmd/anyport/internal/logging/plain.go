package logging

import (
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Plain is for packages that would else write to stderr themselves, and wait for its reader.
func Plain(to *slog.Logger) *log.Logger { return log.New(&seldom{log: to}, "", 0) }

// seldomPause is the least time between two lines of one kind.
const seldomPause = time.Minute

// seldom logs lines of packages that do not bound how many they write: net/http has one for each time that
// it can't accept a conn, once a second as long as there are no file descriptors.
type seldom struct {
	log *slog.Logger

	mu      sync.Mutex
	kind    string // of the last line
	until   time.Time
	omitted int // of that kind since
}

// Write takes one line.
func (s *seldom) Write(line []byte) (int, error) {
	text := strings.TrimSuffix(string(line), "\n")
	if omitted, ok := s.admit(text, time.Now()); ok {
		s.log.Warn(text, omittedLines(omitted)...)
	}
	return len(line), nil
}

// admit reports whether a line is to be logged, and how many were left out before it.
func (s *seldom) admit(text string, now time.Time) (omitted int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := lineKind(text)
	if kind == s.kind && now.Before(s.until) {
		s.omitted++
		return 0, false
	}
	omitted = s.omitted
	s.kind, s.until, s.omitted = kind, now.Add(seldomPause), 0
	return omitted, true
}

// lineKind is what lines have in common that tell of one fault: "http: Accept error".
func lineKind(text string) string {
	parts := strings.SplitN(text, ": ", 3)
	return strings.Join(parts[:min(2, len(parts))], ": ")
}

// omittedLines are the attributes of a line before which others were left out.
func omittedLines(n int) []any {
	if n == 0 {
		return nil
	}
	return []any{"lines_omitted", n}
}
