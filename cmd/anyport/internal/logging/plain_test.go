package logging

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestSeldom: a fault that goes on is one line a minute, and another fault has its own line at once.
func TestSeldom(t *testing.T) {
	begun := time.Now()
	s := &seldom{}
	for _, c := range []struct {
		at      int // seconds after the beginning
		text    string
		omitted int
		ok      bool
	}{
		{0, "http: Accept error: accept4: too many open files; retrying in 5ms", 0, true},
		{0, "http: Accept error: accept4: too many open files; retrying in 10ms", 0, false},
		{59, "http: Accept error: accept4: too many open files; retrying in 1s", 0, false},
		{60, "http: Accept error: accept4: too many open files; retrying in 1s", 2, true},
		{61, "http: Accept error: accept4: too many open files; retrying in 1s", 0, false},
		{62, "http: panic serving @: it is broken", 1, true},
		{63, "http: Accept error: accept4: too many open files; retrying in 5ms", 0, true},
		{64, "", 0, true},
	} {
		omitted, ok := s.admit(c.text, begun.Add(time.Duration(c.at)*time.Second))
		if omitted != c.omitted || ok != c.ok {
			t.Errorf("after %d s %q: %d left out, logged %v; want %d, %v", c.at, c.text, omitted, ok, c.omitted, c.ok)
		}
	}
}

// TestPlain has a package write many lines of one fault.
func TestPlain(t *testing.T) {
	var text bytes.Buffer
	plain := Plain(slog.New(slog.NewTextHandler(&text, nil)))
	for n := range 100 {
		plain.Printf("http: Accept error: too many open files; retrying in %dms", n)
	}
	plain.Print("http: another fault")
	if lines := strings.Split(strings.TrimSpace(text.String()), "\n"); len(lines) != 2 || !strings.Contains(lines[1], fmt.Sprint("lines_omitted=", 99)) {
		t.Errorf("the log says\n%s", &text)
	}
}
