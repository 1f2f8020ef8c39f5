package accesslog

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/config"
)

// lossStep is something that happens to the file, seconds after the beginning.
type lossStep struct {
	at    float64
	lost  uint64
	cause error
	ends  bool   // the log goes on in another file
	want  string // what is reported, or ""
}

var lossCases = map[string][]lossStep{
	"a full disk is named once in a while": {
		{at: 0, lost: 3, cause: unix.ENOSPC, want: "3 no space left on device"},
		{at: 1, lost: 4, cause: unix.ENOSPC},
		{at: 9.9, lost: 1, cause: unix.ENOSPC},
		{at: 10, want: "5"},
		{at: 30, lost: 2, cause: unix.ENOSPC, want: "2"},
		{at: 59},
		{at: 61, lost: 7, cause: unix.ENOSPC, want: "7 no space left on device"},
	},
	"a line that fits in between is not the end of a full disk": {
		{at: 0, lost: 1, cause: unix.ENOSPC, want: "1 no space left on device"},
		{at: 1},
		{at: 2, lost: 1, cause: unix.ENOSPC},
		{at: 12, want: "1"},
	},
	"another cause, reported with the rest of the first": {
		{at: 0, lost: 1, cause: unix.ENOSPC, want: "1 no space left on device"},
		{at: 1, lost: 1, cause: unix.ENOSPC},
		{at: 2, lost: 1, cause: unix.EIO},
		{at: 3},
		{at: 11, want: "2 input/output error"},
	},
	"two thefts within the pause, and a file of its own after each": {
		{at: 0, lost: 20, cause: unix.ENOSPC, want: "20 no space left on device"},
		{at: 1, lost: 5, cause: unix.ENOSPC},
		{at: 2, ends: true, want: "5"},
		{at: 3, lost: 6, cause: unix.EPIPE},
		{at: 4, lost: 7, cause: unix.EPIPE},
		{at: 5, ends: true, want: "13 broken pipe"},
	},
	"the same cause in the next file": {
		{at: 0, lost: 1, cause: unix.ENOSPC, want: "1 no space left on device"},
		{at: 1, ends: true},
		{at: 2, lost: 1, cause: unix.ENOSPC, want: "1 no space left on device"},
	},
	"the first cause of two that wait": {
		{at: 0, lost: 1, cause: unix.EPIPE, want: "1 broken pipe"},
		{at: 1, lost: 1, cause: unix.ENOSPC},
		{at: 2, lost: 1, cause: unix.EIO},
		{at: 10, want: "2 no space left on device"},
		{at: 20, lost: 1, cause: unix.EIO, want: "1 input/output error"},
	},
	"a file that fails is more than one that is slow": {
		{at: 0, lost: 1, cause: errBehind, want: "1 lines come faster than the file takes them"},
		{at: 1, ends: true},
		{at: 2, lost: 1, cause: errBehind, want: "1 lines come faster than the file takes them"},
		{at: 3, ends: true},
		{at: 3.1, lost: 1, cause: unix.EIO, want: "1 input/output error"},
		{at: 4, lost: 1, cause: errBehind},
		{at: 5, lost: 1, cause: unix.ENOSPC},
		{at: 14, want: "2 no space left on device"},
	},
	"an error without a loss is the cause of the next": {
		{at: 0, cause: unix.EAGAIN},
		{at: 1, ends: true},
		{at: 2, lost: 1, want: "1 resource temporarily unavailable"},
	},
}

// TestLosses: no line is reported twice or not at all, and a cause is named once for each file and minute.
func TestLosses(t *testing.T) {
	for name, steps := range lossCases {
		var l losses
		begun := time.Now()
		for _, s := range steps {
			now := begun.Add(time.Duration(s.at * float64(time.Second)))
			l.note(s.lost, s.cause, now)
			if s.ends {
				l.endOfFile()
			}
			if diff := cmp.Diff(s.want, reported(l.report(now))); diff != "" {
				t.Errorf("%s, after %v s: -want +got:\n%s", name, s.at, diff)
			}
		}
	}
}

func reported(of loss) string {
	switch {
	case of.lines == 0:
		return ""
	case of.cause == nil:
		return slog.Uint64Value(of.lines).String()
	}
	return slog.Uint64Value(of.lines).String() + " " + of.cause.Error()
}

// lastFew is a log that is read while it is written.
type lastFew struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lastFew) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lastFew) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestRestIsReported: what is lost just after a report is reported in time, although
// nothing else is written.
func TestRestIsReported(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for lossPause")
	}
	t.Parallel()
	var log lastFew
	a, err := Open(config.Log{Access: "/dev/full"}, nil, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if errors.Is(err, unix.ENOENT) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer closeLog(t, a)
	for lost := range uint64(2) {
		a.Record(record)
		waitFor(t, func() bool { return a.Lost() == lost+1 })
	}
	waitFor(t, func() bool { return strings.Count(log.String(), "lost_lines=1") == 2 })
	if n := strings.Count(log.String(), "no space left"); n != 1 {
		t.Errorf("the log names the error %d times:\n%s", n, log.String())
	}
}
