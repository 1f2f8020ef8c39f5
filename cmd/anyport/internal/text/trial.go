package text

import (
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// trialLines are the two sides of a trial, one below the other, for status.
func trialLines(t *admin.TrialStatus) [][2]string {
	if t == nil {
		return nil
	}
	if t.Of == admin.TrialOfProcess {
		return [][2]string{
			{"TRIAL", fmt.Sprintf("process %d (%s) takes the new TCP conns of %v%% of the clients since %s: anyport upgrade --all, or --back", t.New.PID, t.Binary, t.SharePercent, t.Since.Format(time.DateTime))},
			{"old side", sideText(t.Old)},
			{"new side", sideText(t.New)},
		}
	}
	return [][2]string{
		{"TRIAL", fmt.Sprintf("generation %d serves %v%% of the clients since %s: anyport reload --all, or --back", t.New.Generation, t.SharePercent, t.Since.Format(time.DateTime))},
		{"old side", sideText(t.Old)},
		{"new side", sideText(t.New)},
	}
}

func sideText(s admin.TrialSide) string {
	name := fmt.Sprintf("generation %d", s.Generation)
	if s.PID != 0 {
		name = fmt.Sprintf("process %d, version %s", s.PID, s.Version)
	}
	return fmt.Sprintf("%s: %s, %d active, %d refused, %d failed, %s", name,
		Count(int(s.Conns), "conn", "conns"), s.Active, s.Refused, s.Failed, Count(int(s.Resets), "reset", "resets"))
}

// Trial is a trial in one line, for a screen that is read every second.
func Trial(t *admin.TrialStatus, now time.Time) string {
	return fmt.Sprintf("TRIAL of %v%% for %s: old %s; new %s", t.SharePercent, ago(t.Since, now), sideShort(t.Old), sideShort(t.New))
}

func sideShort(s admin.TrialSide) string {
	return fmt.Sprintf("%s conns, %s failed", Number(s.Conns), percent(s.Failed, s.Conns))
}

// percent is which part of all n are.
func percent(n, all uint64) string {
	return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(max(all, 1)))
}
