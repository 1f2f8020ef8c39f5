package logging

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestOpen: the log has the format and the level of the file, and a reload changes the level.
func TestOpen(t *testing.T) {
	for format, want := range map[string]string{"text": "level=WARN msg=seen n=1\n", "json": `"level":"WARN","msg":"seen","n":1}` + "\n"} {
		var text bytes.Buffer
		l := Open(&text, format, slog.LevelWarn)
		l.Info("not seen")
		l.Warn("seen", "n", 1)
		l.SetLevel(slog.LevelInfo)
		l.Info("seen too")
		l.Close()
		first, rest, _ := strings.Cut(text.String(), "\n")
		if !strings.HasSuffix(first+"\n", want) || strings.Count(rest, "seen too") != 1 || strings.Contains(text.String(), "not seen") {
			t.Errorf("%s: %q", format, text.String())
		}
		if lost := l.Lost(); lost != 0 {
			t.Errorf("%s: %d lines are lost", format, lost)
		}
		if lines, _ := l.Recent(); len(lines) != 2 {
			t.Errorf("%s: the newest lines are %q", format, lines)
		}
	}
}

// TestLostLines: the line in place of lost ones has the format of the others.
func TestLostLines(t *testing.T) {
	if line := string(lostLines("text", false, 7)); !strings.Contains(line, "level=WARN") || !strings.HasSuffix(line, " lost_lines=7\n") {
		t.Errorf("%q", line)
	}
	var object map[string]any
	if err := json.Unmarshal(lostLines("json", false, 7), &object); err != nil || object["lost_lines"] != 7.0 || object["level"] != "WARN" {
		t.Errorf("%v, %v", object, err)
	}
}

// TestNobodyReads: a process whose log nobody reads ends all the same.
func TestNobodyReads(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	l := Open(stuckWriter(release), "text", slog.LevelInfo)
	for range 10 {
		l.Error("nobody reads this")
	}
	closed := make(chan struct{})
	go func() { // ended by closeTimeout
		l.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}

// stuckWriter takes nothing until it is closed.
type stuckWriter chan struct{}

func (w stuckWriter) Write(b []byte) (int, error) { <-w; return len(b), nil }
