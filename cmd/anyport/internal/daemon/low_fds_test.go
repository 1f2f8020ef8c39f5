package daemon

import (
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/proxy"
	"anyport/proxy/fdbudget"
)

// TestLowFDs: they are open until they are released, and not opened twice.
func TestLowFDs(t *testing.T) {
	var low lowFDs
	low.keep(5)
	low.keep(3)
	held := low.fds
	if len(held) != 5 {
		t.Errorf("%d are open, want 5", len(held))
	}
	for _, fd := range held {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Errorf("%d is not open: %v", fd, err)
		}
	}
	low.release()
	low.release()
	for _, fd := range held {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
			t.Errorf("%d is open: %v", fd, err)
		}
	}
}

// TestFitFiles: a new limit is divided and logged once, with what it means; the low descriptors are
// released while the process holds more than it may, and opened again when the limit is back.
func TestFitFiles(t *testing.T) {
	var log syncBuffer
	d := &daemon{log: slog.New(slog.NewTextHandler(&log, nil)), files: 4096, proxy: proxy.New(proxy.Options{Workers: 1})}
	budget, err := fdbudget.Divide(4096, 300)
	if err != nil {
		t.Fatal(err)
	}
	d.proxy.LimitFiles(budget)
	d.lowFDs.keep(mostLowFDs)
	defer d.lowFDs.release()
	for _, step := range []struct {
		limit, low int
		logged     string // "": nothing
	}{
		{4096, mostLowFDs, ""},
		{2048, mostLowFDs, `level=WARN msg="somebody has lowered the limit of file descriptors: new conns and flows have less room" files=2048 were=4096 files_used=300`},
		{2048, mostLowFDs, ""},
		{200, 0, `level=WARN msg="somebody has lowered the limit of file descriptors: live conns and flows go on, new ones are not taken" files=200 were=2048 files_used=300 hint="raise it again: prlimit --nofile"`},
		{200, 0, ""},
		{1024, 0, `level=INFO msg="somebody has raised the limit of file descriptors" files=1024 were=200 files_used=300`},
		{4096, mostLowFDs, `level=INFO msg="somebody has raised the limit of file descriptors" files=4096 were=1024 files_used=300`},
	} {
		before := len(log.String())
		d.fitFiles(step.limit)
		if len(d.lowFDs.fds) != step.low || d.proxy.Budget().Limit != step.limit {
			t.Errorf("a limit of %d: %d low descriptors, want %d; the budget's limit is %d", step.limit, len(d.lowFDs.fds), step.low, d.proxy.Budget().Limit)
		}
		if line := strings.TrimSpace(log.String()[before:]); step.logged == "" && line != "" || !strings.HasSuffix(line, step.logged) {
			t.Errorf("a limit of %d: the log says %q, want %q", step.limit, line, step.logged)
		}
	}
}
