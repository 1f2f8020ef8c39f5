package ratelog

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestLog floods the log with one fault: it is logged once a second, and does not hide
// another one.
func TestLog(t *testing.T) {
	var out bytes.Buffer
	l := Log{Logger: slog.New(slog.NewTextHandler(&out, nil))}
	for now := range 2500 * time.Millisecond / time.Millisecond {
		l.Warn(now*time.Millisecond, "flooded", "n", int(now))
	}
	l.Warn(2500*time.Millisecond, "seldom")
	if n := strings.Count(out.String(), "msg=flooded"); n != 3 {
		t.Errorf("%d lines in 2.5 s, want 3:\n%s", n, &out)
	}
	if !strings.Contains(out.String(), "n=1000 lines_omitted=999") || !strings.Contains(out.String(), "msg=seldom") {
		t.Errorf("no word of what is left out, or of the other fault:\n%s", &out)
	}
}
