package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// spelled is a value that writes itself.
type spelled string

func (s spelled) String() string { return string(s) }

// FuzzLogFields gives everything that a line of the log can hold any bytes: names of DNS, TLVs, processes and units,
// answers to checks, errors of resolvers. A line stays a line, and a terminal obeys nothing in it.
func FuzzLogFields(f *testing.F) {
	for _, text := range []string{"", "web", "a b", `"`, "\\", "=", "\n", "a\r\n<0>b=c", "\x1b[31m", "\x00", "\xff", "é", "\u2028", "\x7f", "\u009b31m", "\u202e", "\U000e0001"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range []string{"text", "json"} {
			for _, journal := range []bool{false, true} {
				var out bytes.Buffer
				newLogger(&out, format, journal, nil).With("with", text).WithGroup("g").Warn(text, "text", text, "error", errors.New(text), "value", spelled(text),
					"list", []string{text}, "any", map[string]string{text: text}, "zone", netip.MustParseAddr("fe80::1").WithZone(text), text, "key", slog.Group("h", "in", text))
				line := out.String()
				if journal {
					if !strings.HasPrefix(line, "<4>") {
						t.Fatalf("%s: %q has no priority", format, line)
					}
					line = line[3:]
				}
				if at := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); at != len(line)-1 || line[at] != '\n' {
					t.Fatalf("%s, journal %v: %q is not one line that can be printed", format, journal, line)
				}
				if got := messageOf(t, format, line); got != string([]rune(text)) && got != text && got != strings.ReplaceAll(text, "\x7f", `\u007f`) {
					t.Errorf("%s: %q is logged as %q", format, text, got)
				}
			}
		}
	})
}

// messageOf reads the message of a line.
func messageOf(t *testing.T, format, line string) string {
	t.Helper()
	if format == "json" {
		var object struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return object.Msg
	}
	_, rest, _ := strings.Cut(line, "msg=")
	if quoted, err := strconv.QuotedPrefix(rest); err == nil && rest[0] == '"' {
		text, _ := strconv.Unquote(quoted)
		return text
	}
	text, _, _ := strings.Cut(rest, " ")
	return text
}
