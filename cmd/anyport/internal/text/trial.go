package text

import (
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// trialLines are the two sides of a reload that serves a share of the clients, one below the other.
func trialLines(t *admin.TrialStatus) [][2]string {
	if t == nil {
		return nil
	}
	return [][2]string{
		{"TRIAL", fmt.Sprintf("generation %d serves %v%% of the clients since %s: anyport reload --all, or --back", t.New.Generation, t.SharePercent, t.Since.Format(time.DateTime))},
		{"old side", sideText(t.Old)},
		{"new side", sideText(t.New)},
	}
}

func sideText(s admin.TrialSide) string {
	return fmt.Sprintf("generation %d: %s, %d active, %d refused, %d failed, %s", s.Generation,
		Count(int(s.Conns), "conn", "conns"), s.Active, s.Refused, s.Failed, Count(int(s.Resets), "reset", "resets"))
}
