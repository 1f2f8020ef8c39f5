package logging

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestRecentLines: the newest lines are kept, within bounds, and all of them go on.
func TestRecentLines(t *testing.T) {
	var out bytes.Buffer
	r := &recentLines{to: &out}
	if lines, omitted := r.all(); lines == nil || len(lines)+int(omitted) > 0 {
		t.Errorf("%q, %d", lines, omitted)
	}
	for i := range MostRecent + 3 {
		fmt.Fprintf(r, "line %d\n", i)
	}
	lines, omitted := r.all()
	if len(lines) != MostRecent || omitted != 3 || lines[0] != "line 3" || strings.Count(out.String(), "\n") != MostRecent+3 {
		t.Errorf("%d lines, %d before, the first %q", len(lines), omitted, lines[0])
	}
	long := strings.Repeat("x", longestLine)
	for range 20 {
		fmt.Fprintln(r, long)
	}
	fmt.Fprintln(r, long+"y")
	lines, _ = r.all()
	if n := len(strings.Join(lines, "")); n > recentBytes || lines[len(lines)-1] != "(a line of 65537 bytes)" {
		t.Errorf("%d bytes, the last line %.40q", n, lines[len(lines)-1])
	}
}
