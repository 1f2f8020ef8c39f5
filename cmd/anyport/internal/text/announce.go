package text

import (
	"fmt"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/steering/announce"
)

// announceLines say how many prefixes routing daemons are given, and why others are not; nothing without
// announce.table. What an operator must see has its name in capitals.
func announceLines(a *admin.AnnounceStatus) (lines [][2]string) {
	if a == nil {
		return nil
	}
	lines = append(lines, [2]string{"announce", fmt.Sprintf("table %d, %s", a.Table, announceCounts(a))})
	add := func(text string, args ...any) {
		lines = append(lines, [2]string{"ANNOUNCE", fmt.Sprintf(text, args...)})
	}
	if a.Problem != "" {
		add("this host is not ready: %s", a.Problem)
	}
	if a.Kept != "" {
		add("prefixes stay announced: %s", a.Kept)
	}
	if a.Error != "" {
		add("%s", strings.ReplaceAll(a.Error, "\n", "; "))
	}
	for _, p := range a.Parts {
		if p.Verdict == string(announce.Damped) {
			part := "this host"
			if p.Route != "" {
				part = "route " + p.Route
			}
			wait := time.Duration(p.WaitSeconds * float64(time.Second)).Round(time.Second)
			add("%s was withdrawn %s: it is announced again in %v", part, Count(int(p.Flaps), "time", "times"), wait)
		}
	}
	return lines
}

// announceCounts has the verdicts that some prefix has.
func announceCounts(a *admin.AnnounceStatus) string {
	var counts []string
	for _, v := range announce.Verdicts {
		if n := a.Prefixes[string(v)]; n > 0 {
			counts = append(counts, Count(n, "prefix", "prefixes")+" "+strings.ReplaceAll(string(v), "_", " "))
		}
	}
	if len(counts) == 0 {
		return "no route of the file serves a prefix"
	}
	text := strings.Join(counts, ", ")
	if a.RoutesRestored > 0 {
		text += fmt.Sprintf("; %s put back after others removed them", Count(int(a.RoutesRestored), "route", "routes"))
	}
	return text
}
