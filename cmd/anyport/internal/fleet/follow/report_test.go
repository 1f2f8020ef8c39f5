package follow

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// TestNoteName: a name that is taken is an error once a process that was killed cannot be the reason any more; the fleet
// cannot be asked before that, either.
func TestNoteName(t *testing.T) {
	f := New(Options{Host: "edge1", Log: slog.New(slog.DiscardHandler)})
	f.join(struct{ fleet.Membership }{})
	now := time.Unix(1000, 0)
	taken := fmt.Errorf("report: %w", &fleet.NameTakenError{Other: fleet.Report{Host: "edge1"}})
	other := errors.New("etcd is full")
	for i, step := range []struct {
		after    time.Duration
		err      error
		want     error
		name, ok bool
	}{
		{0, nil, nil, false, true},
		{1, taken, nil, false, false},
		{nameWait - 1, taken, nil, false, false},
		{1, taken, taken, true, false},
		{1, other, other, false, true},
		{nameWait, taken, nil, false, false},
		{1, nil, nil, false, true},
	} {
		now = now.Add(step.after)
		err := f.noteName(step.err, now)
		_, asked := f.membership()
		if err != step.want || f.Status().NameTaken != step.name || (asked == nil) != step.ok {
			t.Errorf("step %d: %v, %v, name taken %v", i, err, asked, f.Status().NameTaken)
		}
	}
}
