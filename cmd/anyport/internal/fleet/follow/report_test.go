package follow

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// TestReportPause: reports come less often where they cost much, and never so seldom that a push takes a host for gone.
func TestReportPause(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: fleet.ReportChanged, 40 * time.Millisecond: fleet.ReportChanged, 60 * time.Millisecond: 3 * time.Second, time.Hour: fleet.ReportSame,
	} {
		if got := reportPause(took); got != want {
			t.Errorf("after one that took %v: %v, want %v", took, got, want)
		}
	}
}

// TestNoteName: a name that is taken is an error only if the other host lives; the fleet cannot be asked in either case.
func TestNoteName(t *testing.T) {
	f := New(Options{Host: "edge1", Log: slog.New(slog.DiscardHandler)})
	f.join(struct{ fleet.Membership }{})
	killed := &fleet.NameTakenError{Other: fleet.Report{Host: "edge1"}}
	lives := fmt.Errorf("report: %w", &fleet.NameTakenError{Lives: true})
	full := errors.New("etcd is full")
	for i, step := range []struct {
		err, want error
		name, ok  bool
	}{
		{nil, nil, false, true},
		{killed, nil, false, false},
		{lives, lives, true, false},
		{full, full, false, true},
		{nil, nil, false, true},
	} {
		err := f.noteName(step.err)
		_, asked := f.membership()
		if err != step.want || f.Status().NameTaken != step.name || (asked == nil) != step.ok {
			t.Errorf("step %d: %v, %v, name taken %v", i, err, asked, f.Status().NameTaken)
		}
	}
}
