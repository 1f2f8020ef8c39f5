package daemon

import (
	"bytes"
	"io"
	"log/slog"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy/logfile"
)

// logCloseTimeout is how long a process that ends waits for a log that nobody reads.
const logCloseTimeout = time.Second

// openLog opens the log first: everything else logs. Nothing may wait for its reader, so lines go
// through a queue that drops them if it is full.
func (d *daemon) openLog() {
	format, journal := d.opt.Config.Log.Format, JournalStream(d.opt.Log)
	d.level.Set(d.opt.Config.Log.Level)
	d.lines = logfile.NewQueue(d.opt.Log, func(lost uint64) []byte { return lostLines(format, journal, lost) })
	d.closers = append(d.closers, func() error { d.lines.Close(logCloseTimeout); return nil })
	d.recent = &recentLines{to: d.lines}
	d.log = newLogger(d.recent, format, journal, &d.level)
}

// lostLines is the line that the log gets in place of lost ones.
func lostLines(format string, journal bool, lost uint64) []byte {
	var line bytes.Buffer
	newLogger(&line, format, journal, nil).Warn("lines of this log were lost: nobody read it, or its disk was full", "lost_lines", lost)
	return line.Bytes()
}

// logStatus counts the lines that the logs have lost, those of earlier processes included.
func (d *daemon) logStatus() admin.LogStatus {
	return admin.LogStatus{
		Lost:       d.earlier.logLost.Load() + d.lines.Lost(),
		AccessLost: d.earlier.accessLost.Load() + d.access.lostLines(),
	}
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
