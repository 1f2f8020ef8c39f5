package logging

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// MostRecent is how many lines are kept.
const MostRecent = 1000

// Other bounds of the lines that are kept.
const (
	recentBytes = 1 << 20
	longestLine = 64 << 10
)

// recentLines keeps the newest lines of the log on their way to it. Loggers write to it from any goroutine.
type recentLines struct {
	to io.Writer

	mu      sync.Mutex
	lines   []string // the oldest first
	bytes   int      // of all of them
	omitted uint64   // lines that were there before
}

// Write takes one line, as slog's handlers write them. A very long one is left out rather than cut: half of a
// secret could not be found any more.
func (r *recentLines) Write(line []byte) (int, error) {
	text := strings.TrimSuffix(string(line), "\n")
	if len(text) > longestLine {
		text = fmt.Sprintf("(a line of %d bytes)", len(text))
	}
	r.mu.Lock()
	r.lines = append(r.lines, text)
	r.bytes += len(text)
	for len(r.lines) > MostRecent || r.bytes > recentBytes {
		r.bytes -= len(r.lines[0])
		r.lines[0] = "" // the array may live on
		r.lines = r.lines[1:]
		r.omitted++
	}
	r.mu.Unlock()
	return r.to.Write(line)
}

// all returns the lines, and how many came before them.
func (r *recentLines) all() (lines []string, omitted uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.lines...), r.omitted // [] in JSON, never null
}
