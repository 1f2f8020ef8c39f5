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
	format := d.opt.Config.Log.Format
	d.level.Set(d.opt.Config.Log.Level)
	d.lines = logfile.NewQueue(d.opt.Log, func(lost uint64) []byte { return lostLines(format, lost) })
	d.closers = append(d.closers, func() error { d.lines.Close(logCloseTimeout); return nil })
	d.log = newLogger(d.lines, format, &d.level)
}

// lostLines is the line that the log gets in place of lost ones.
func lostLines(format string, lost uint64) []byte {
	var line bytes.Buffer
	newLogger(&line, format, nil).Warn("lines of this log were lost: nobody read it, or its disk was full", "lost_lines", lost)
	return line.Bytes()
}

// logStatus counts the lines that the logs have lost, those of earlier processes included.
func (d *daemon) logStatus() admin.LogStatus {
	status := admin.LogStatus{Lost: d.earlier.logLost.Load() + d.lines.Lost(), AccessLost: d.earlier.accessLost.Load()}
	if d.access != nil {
		status.AccessLost += d.access.Lost()
	}
	return status
}

// newLogger makes a logger in the format of log.format. A nil level is slog.LevelInfo.
func newLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	opt := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}
