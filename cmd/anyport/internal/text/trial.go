package text

import (
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// trialLines are the two sides of a reload or an upgrade that serves a share of the clients, one below the other.
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
