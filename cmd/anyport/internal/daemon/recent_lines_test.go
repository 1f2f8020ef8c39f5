package daemon

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
	for i := range recentMost + 3 {
		fmt.Fprintf(r, "line %d\n", i)
	}
	lines, omitted := r.all()
	if len(lines) != recentMost || omitted != 3 || lines[0] != "line 3" || strings.Count(out.String(), "\n") != recentMost+3 {
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

// TestKnownSecrets: those of files that were replaced are masked too.
func TestKnownSecrets(t *testing.T) {
	var k knownSecrets
	k.note("password = \"the first one\"")
	k.note("[route.web]\n")
	k.note("password = \"another text\"")
	mask, err := k.mask()
	if err != nil || mask.String("the first one, another text") != "***, ***" {
		t.Error(mask.String("the first one, another text"), err)
	}
}

// TestTooManySecrets: where some cannot be remembered, nothing is shown that may hold one.
func TestTooManySecrets(t *testing.T) {
	var many strings.Builder
	for i := range mostSecrets {
		fmt.Fprintf(&many, "password = \"%d\"\n", i)
	}
	for name, one := range map[string]string{"one more": "one more", "a long one": strings.Repeat("x", mostSecretBytes)} {
		var k knownSecrets
		k.note(many.String())
		k.note(many.String()) // nothing new
		if _, err := k.mask(); err != nil {
			t.Errorf("%s: before it %v", name, err)
		}
		k.note("password = \"" + one + "\"")
		k.note("password = \"7\"")
		if _, err := k.mask(); err == nil || len(k.values) > mostSecrets || k.bytes > mostSecretBytes {
			t.Errorf("%s: %d values, %d bytes, %v", name, len(k.values), k.bytes, err)
		}
	}
}
