package push

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// firstHost is the host that a table meets first in a fleet where all are ready.
func firstHost(text string, hosts int) string {
	var reports []fleet.Report
	for i := range hosts {
		reports = append(reports, fleet.Report{Host: fmt.Sprint("edge", i+1), Ready: true})
	}
	return order(fleet.HashOf([]byte(text)), reports)[0]
}

func TestRunGood(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, good)
	if err := f.push("new", DefaultStages); err != nil {
		t.Fatal(err)
	}
	f.waitFor("all serve", func() bool { return f.serving("new") == 3 })
	p := f.pointer()
	if p.Table != fleet.HashOf([]byte("new")) || p.Previous != fleet.HashOf([]byte("old")) || p.Trial != nil {
		t.Errorf("%+v", p)
	}
	if f.said(Begins) != 3 || f.said(Held) != 3 || f.said(Done) != 1 {
		t.Errorf("%v", f.events)
	}
	if err := f.push("new", "100%"); err != nil || f.said(Begins) != 3 {
		t.Errorf("again: %v, %v", err, f.events)
	}
}

// TestRunBad: whatever is wrong with a table is seen on the first host, and only there.
func TestRunBad(t *testing.T) {
	t.Parallel()
	bad := fleet.HashOf([]byte("bad"))
	victim := firstHost("bad", 4)
	for name, test := range map[string]struct {
		behaviour
		why    string
		remain int // hosts on the old table afterwards
	}{
		"refused":        {behaviour{refuses: bad}, victim + " refused the table: no room\n  all hosts are back on table", 4},
		"no origin":      {behaviour{fails: bad}, victim + " ", 4},
		"kills the host": {behaviour{dies: bad}, victim + " has no report any more", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 4, func(string) behaviour { return test.behaviour })
			o := f.options("bad", DefaultStages)
			o.Hold = time.Minute
			err := Run(t.Context(), o)
			if err == nil || !strings.HasPrefix(err.Error(), "stage 1/3 (1): "+test.why) {
				t.Errorf("%v, want %q", err, test.why)
			}
			f.waitFor("the old table is back", func() bool { return f.serving("old") == test.remain })
			if p := f.pointer(); p.Table != fleet.HashOf([]byte("old")) || p.Trial != nil || f.said(Begins) != 1 || f.said(BackTo) != 1 {
				t.Errorf("%+v, %v", p, f.events)
			}
		})
	}
}

// TestRunBadLater: a table that one host refuses, met in the last stage, is taken back everywhere.
func TestRunBadLater(t *testing.T) {
	t.Parallel()
	victim := firstHost("new", 3)
	f := newFleet(t, 3, func(host string) behaviour {
		if host == victim {
			return behaviour{}
		}
		return behaviour{refuses: fleet.HashOf([]byte("new"))}
	})
	err := f.push("new", "1,100%")
	if err == nil || !strings.HasPrefix(err.Error(), "stage 2/2 (100%): edge") {
		t.Errorf("%v", err)
	}
	f.waitFor("the old table is back", func() bool { return f.serving("old") == 3 })
	if f.said(Returns) != 1 {
		t.Errorf("%v", f.events)
	}
}

// TestRunInterrupted: an interrupt brings the fleet back.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	ctx, interrupt := context.WithCancel(t.Context())
	ended := f.hold(ctx)
	interrupt()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "was interrupted\n  all hosts are back on table") {
		t.Error(err)
	}
	if f.serving("old") != 2 || f.pointer().Trial != nil {
		t.Errorf("%+v", f.pointer())
	}
}

// TestRunKilled: the hosts leave the trial of a push that is gone, and the next push begins after it.
func TestRunKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	ended := f.hold(t.Context())
	state, _ := f.State(t.Context())
	f.Expire(state.Push.Lease)
	if err := <-ended; !errors.Is(err, errLost) || !strings.Contains(err.Error(), "go back to table") {
		t.Error(err)
	}
	f.waitFor("the hosts are back", func() bool { return f.serving("old") == 2 })
	if f.pointer().Trial == nil {
		t.Error("a push without its lease has moved the pointer")
	}
	if err := f.push("old", "100%"); err != nil || f.pointer().Trial != nil {
		t.Errorf("%v, %+v", err, f.pointer())
	}
}

// TestTwoPushes: the second is told who runs the first.
func TestTwoPushes(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	ctx, interrupt := context.WithCancel(t.Context())
	ended := f.hold(ctx)
	var runs *fleet.PushRunsError
	if err := f.push("other", DefaultStages); !errors.As(err, &runs) || runs.Push.By != "root@test" {
		t.Error(err)
	}
	interrupt()
	<-ended
}

// TestRunStoreAway: while the store does not answer nothing is decided, and the push goes on afterwards.
func TestRunStoreAway(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	ended := make(chan error)
	o := f.options("new", "1,100%")
	o.Hold = 300 * time.Millisecond
	go func() { ended <- Run(t.Context(), o) }()
	f.waitFor("a host serves", func() bool { return f.said(Serves) == 1 })
	f.SetAway(true)
	f.waitFor("the push says so", func() bool { return f.said(Away) == 1 })
	f.SetAway(false)
	if err := <-ended; err != nil || f.serving("new") != 2 {
		t.Error(err, f.events)
	}
}

// TestRunStoreFull: a push that a full store stops in any of its steps ends, says why, and leaves no trial.
func TestRunStoreFull(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	f.SetFull(true)
	if err := f.push("new", DefaultStages); !errors.Is(err, fleet.ErrFull) {
		t.Errorf("from the begin: %v", err)
	}
	f.SetFull(false)
	ended := make(chan error, 1)
	o := f.options("new", "1,100%")
	o.Hold = 300 * time.Millisecond
	go func() { ended <- Run(t.Context(), o) }() // ends with the second stage
	f.waitFor("a host serves", func() bool { return f.said(Serves) == 1 })
	f.SetFull(true)
	select {
	case err := <-ended:
		if !errors.Is(err, fleet.ErrFull) || !strings.HasPrefix(err.Error(), "stage 2/2 (100%): ") || !strings.Contains(err.Error(), "the hosts go back to table") {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on without end")
	}
	f.SetFull(false)
	f.waitFor("the hosts are back", func() bool { return f.serving("old") == 2 })
	if err := f.push("new", "100%"); err != nil || f.serving("new") != 2 {
		t.Errorf("with room again: %v", err)
	}
}

// TestRunChanged: a pointer that somebody else has moved stays as it is.
func TestRunChanged(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	ended := f.hold(t.Context())
	f.Force(func(p *fleet.Pointer) { p.Table = "x" })
	if err := <-ended; !errors.Is(err, fleet.ErrChanged) || f.pointer().Table != "x" {
		t.Error(err)
	}
}

// TestRunWithoutHosts: the first table needs none, any other does.
func TestRunWithoutHosts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0, good)
	if err := f.push("new", "100%"); err == nil || !strings.HasPrefix(err.Error(), "no host reports to this source") {
		t.Error(err)
	}
	if f.pointer().Table != fleet.HashOf([]byte("old")) {
		t.Error("it is current all the same")
	}
}

func TestBack(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	if err := Back(t.Context(), f.options("", "100%")); err == nil || !strings.Contains(err.Error(), "no table before") {
		t.Error(err)
	}
	if err := f.push("new", "100%"); err != nil {
		t.Fatal(err)
	}
	if err := Back(t.Context(), f.options("", "100%")); err != nil || f.serving("old") != 2 || f.pointer().Previous != fleet.HashOf([]byte("new")) {
		t.Error(err, f.pointer())
	}
	_ = f.DeleteTables(t.Context(), fleet.HashOf([]byte("new")))
	if err := Back(t.Context(), f.options("", "100%")); !errors.Is(err, fleet.ErrNoTable) {
		t.Error(err)
	}
}

// TestBackEndsAPush: of a push that runs somewhere else only the trial ends.
func TestBackEndsAPush(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	ended := f.hold(t.Context())
	if err := Back(t.Context(), f.options("", "100%")); err != nil || f.serving("old") != 2 {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the other push does not know")
	}
}

// TestPrune: the newest stay, and those that the pointer names.
func TestPrune(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, good)
	for i := range 14 {
		if _, err := f.PutTable(t.Context(), []byte(fmt.Sprint(i)), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.push("new", "100%"); err != nil {
		t.Fatal(err)
	}
	tables, _ := f.Tables(t.Context())
	if len(tables) != tablesKept+1 || tables[0].Table != fleet.HashOf([]byte("new")) || tables[tablesKept].Table != fleet.HashOf([]byte("old")) {
		t.Errorf("%+v", tables)
	}
}
