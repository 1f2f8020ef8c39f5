package logging

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
)

// JournalStream reports whether a file is the stream of the journal that JOURNAL_STREAM names: its device
// and inode (systemd.exec(5)). The journal then reads a priority at the begin of a line, and has a time of
// its own.
func JournalStream(file any) bool {
	f, ok := file.(*os.File)
	named := os.Getenv("JOURNAL_STREAM")
	if !ok || named == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && named == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// WithPriority puts the journal's priority before each line of a text (sd-daemon(3)).
func WithPriority(level slog.Level, text string) string {
	var out bytes.Buffer
	for line := range bytes.Lines([]byte(text)) {
		fmt.Fprintf(&out, "<%d>%s", priority(level), line)
	}
	return out.String()
}

// priority is a level as syslog and the journal count it.
func priority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	}
	return 7
}

// prioritized is a handler whose lines begin with their priority. Handlers that were derived from one
// share its output.
type prioritized struct {
	slog.Handler
	out *priorityWriter
}

func newPrioritized(w io.Writer, make func(io.Writer) slog.Handler) slog.Handler {
	out := &priorityWriter{to: w}
	return prioritized{make(out), out}
}

// Handle writes a line.
func (p prioritized) Handle(ctx context.Context, r slog.Record) error {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	p.out.level = r.Level
	return p.Handler.Handle(ctx, r)
}

// WithAttrs is a handler of the same output.
func (p prioritized) WithAttrs(attrs []slog.Attr) slog.Handler {
	return prioritized{p.Handler.WithAttrs(attrs), p.out}
}

// WithGroup is a handler of the same output.
func (p prioritized) WithGroup(name string) slog.Handler {
	return prioritized{p.Handler.WithGroup(name), p.out}
}

// priorityWriter writes one line a call, as slog's handlers do.
type priorityWriter struct {
	mu    sync.Mutex // held for a line
	to    io.Writer
	level slog.Level // of that line
}

// Write writes the priority and the line in one call: other lines may come between two.
func (w *priorityWriter) Write(line []byte) (int, error) {
	if _, err := w.to.Write(append(fmt.Appendf(nil, "<%d>", priority(w.level)), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
