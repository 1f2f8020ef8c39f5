package doctor

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	report := Report{Failures: 1, Warnings: 2, Findings: []Finding{
		{Check: "ipv6", Status: OK, What: "on"},
		{Check: "listeners", Status: Failure, What: strings.Repeat("word ", 20) + "end", Why: "it matters", Mend: "first command\nsecond command"},
	}}
	const want = `ok       ipv6       on
failure  listeners  word word word word word word word word word word word word word word word word
                    word word word word end
                    why:  it matters
                    mend: first command
                          second command
`
	var out strings.Builder
	if err := report.Write(&out); err != nil || out.String() != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, &out, want)
	}
}

func TestSummary(t *testing.T) {
	tests := []struct {
		report Report
		want   string
	}{
		{Report{Works: true}, "this host can run it"},
		{Report{Works: true, Warnings: 1}, "this host can run it, with 1 warning"},
		{Report{Failures: 2}, "this host would not run it: 2 failures"},
		{Report{Failures: 1, Warnings: 3}, "this host would not run it: 1 failure, 3 warnings"},
	}
	for _, tt := range tests {
		if got := tt.report.Summary(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// TestJSON fixes the keys that scripts depend on.
func TestJSON(t *testing.T) {
	report := Report{Works: true, Warnings: 1, Findings: []Finding{{"ipv6", Warning, "a", "b", "c"}}}
	const want = `{"works":true,"failures":0,"warnings":1,"findings":[{"check":"ipv6","status":"warning","what":"a","why":"b","mend":"c"}]}`
	got, err := json.Marshal(report)
	if err != nil || string(got) != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
}
