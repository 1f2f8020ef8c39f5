package logging

import (
	"bytes"
	"io"
	"log/slog"
	"time"

	"anyport/proxy/logfile"
)

// closeTimeout is how long a process that ends waits for a log that nobody reads.
const closeTimeout = time.Second

// Log is a logger whose lines go through a queue. Any goroutine may use it.
type Log struct {
	*slog.Logger
	level  slog.LevelVar
	lines  *logfile.Queue // where the log goes; recent gets each line first
	recent *recentLines
}

// Open begins to write to a file in a format of log.format, and for the journal as that reads it. The caller owes one
// Close.
func Open(to io.Writer, format string, level slog.Level) *Log {
	l, journal := &Log{}, JournalStream(to)
	l.level.Set(level)
	l.lines = logfile.NewQueue(to, func(lost uint64) []byte { return lostLines(format, journal, lost) })
	l.recent = &recentLines{to: l.lines}
	l.Logger = newLogger(l.recent, format, journal, &l.level)
	return l
}

// SetLevel has the log leave out what is below a level from now on.
func (l *Log) SetLevel(level slog.Level) { l.level.Set(level) }

// Queue is for others that write whole lines to the same file.
func (l *Log) Queue() *logfile.Queue { return l.lines }

// Lost is the number of lines that nobody has read.
func (l *Log) Lost() uint64 { return l.lines.Lost() }

// Recent returns the newest lines, at most MostRecent, and how many came before them.
func (l *Log) Recent() (lines []string, omitted uint64) { return l.recent.all() }

// Close writes what is left, for a bounded time.
func (l *Log) Close() { l.lines.Close(closeTimeout) }

// lostLines is the line that the log gets in place of lost ones.
func lostLines(format string, journal bool, lost uint64) []byte {
	var line bytes.Buffer
	newLogger(&line, format, journal, nil).Warn("lines of this log were lost: nobody read it, or its disk was full", "lost_lines", lost)
	return line.Bytes()
}

// newLogger makes a logger in the format of log.format; for the journal with its priorities, and without a
// time of its own. A nil level is slog.LevelInfo.
func newLogger(w io.Writer, format string, journal bool, level slog.Leveler) *slog.Logger {
	opt := &slog.HandlerOptions{Level: level}
	if journal {
		opt.ReplaceAttr = withoutTime
	}
	handler := func(w io.Writer) slog.Handler {
		w = logfile.Printable(w)
		if format == "json" {
			return slog.NewJSONHandler(w, opt)
		}
		return slog.NewTextHandler(w, opt)
	}
	if journal {
		return slog.New(newPrioritized(w, handler))
	}
	return slog.New(handler(w))
}

// withoutTime leaves out the time of a line.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
