package udp

import (
	"log/slog"
	"time"
)

// limitedLog writes a fault that any datagram may meet no more than once a
// second: a flood must not become a flood of lines.
type limitedLog struct {
	*slog.Logger
	next    time.Duration // when the next line may come
	omitted int
}

func (l *limitedLog) warn(now time.Duration, text string, args ...any) {
	if now < l.next {
		l.omitted++
		return
	}
	if l.omitted > 0 {
		args = append(args, "lines_omitted", l.omitted)
	}
	l.Warn(text, args...)
	l.next, l.omitted = now+time.Second, 0
}
