package text

import (
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// TestTrialLines: both sides of a trial stand one below the other, and without one there is nothing.
func TestTrialLines(t *testing.T) {
	if lines := trialLines(nil); lines != nil {
		t.Errorf("without a trial: %q", lines)
	}
	var text strings.Builder
	for _, line := range trialLines(&admin.TrialStatus{
		SharePercent: 0.5, Since: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC),
		Old: admin.TrialSide{Generation: 4, Conns: 19012, Active: 210, Refused: 3, Failed: 2, Resets: 40},
		New: admin.TrialSide{Generation: 5, Conns: 1, Failed: 1, Resets: 1},
	}) {
		text.WriteString(line[0] + ": " + line[1] + "\n")
	}
	const want = "TRIAL: generation 5 serves 0.5% of the clients since 2026-05-04 10:00:00: anyport reload --all, or --back\n" +
		"old side: generation 4: 19012 conns, 210 active, 3 refused, 2 failed, 40 resets\n" +
		"new side: generation 5: 1 conn, 0 active, 0 refused, 1 failed, 1 reset\n"
	if text.String() != want {
		t.Errorf("%s, want\n%s", text.String(), want)
	}
}

// TestPictureTrial: anyport top has a line about a trial, and none without one.
func TestPictureTrial(t *testing.T) {
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	sample := Sample{At: at, Status: &admin.Status{}}
	if got := Picture(sample, sample, nil); strings.Contains(got, "TRIAL") {
		t.Errorf("without a trial: %s", got)
	}
	sample.Status.Trial = &admin.TrialStatus{SharePercent: 0.5, Since: at.Add(-90 * time.Second), New: admin.TrialSide{Conns: 3, Failed: 1}}
	if got := Picture(sample, sample, nil); !strings.Contains(got, "\nTRIAL of 0.5% for 1m: old 0 conns, 0.0% failed; new 3 conns, 33.3% failed\n\n") {
		t.Errorf("%s", got)
	}
}

// TestReloadedTrial: what a reload for a share of the clients says, and its end.
func TestReloadedTrial(t *testing.T) {
	for how, want := range map[admin.TrialEnd]string{
		admin.TrialBegun: "nothing differs\na.toml serves 5% of the clients: generation 3\n  for all clients: anyport reload --all; for none: anyport reload --back\n",
		admin.TrialAll:   "nothing differs\na.toml is in service: generation 3\n",
		admin.TrialBack:  "the trial has ended: generation 3 serves all clients\n",
	} {
		var text strings.Builder
		Reloaded(&text, &admin.Reloaded{Path: "a.toml", Generation: 3, Trial: how, SharePercent: 5})
		if text.String() != want {
			t.Errorf("%s: %q, want %q", how, text.String(), want)
		}
	}
}
