package docs

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// widest is the longest line of prose, in characters.
const widest = 100

func TestLinesAreShort(t *testing.T) {
	for _, path := range documents(t) {
		for _, l := range prose(t, path) {
			if n := utf8.RuneCountInString(l.text); n > widest && !l.isRow() {
				t.Errorf("%s:%d has %d characters, more than %d", path, l.number, n, widest)
			}
		}
	}
}

// turns are turns of phrase that a reader has to read twice, or that name no actor.
var turns = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
	`shall`, `lest`, `but for`, `whom`, `anew`, `thereof`, `another's`, `others' hands`,
	`in its stride`, `in the way`, `among strangers`, `told honestly`, `seen into`, `taught`,
	`is gone`, `at hand`, `for good`, `what came of it`, `so many of`, `the last so many`,
	`(it|that|this|which|who) is no [a-z]+`,
}, "|") + `)\b`)

func TestLanguageIsPlain(t *testing.T) {
	for _, path := range documents(t) {
		lines := prose(t, path)
		for i, l := range lines {
			text := l.text
			if i+1 < len(lines) { // a turn may run over the end of a line
				text += " " + lines[i+1].text
			}
			if at := turns.FindStringIndex(text); at != nil && at[0] < len(l.text) {
				t.Errorf("%s:%d: %q: say it in plain words", path, l.number, text[at[0]:at[1]])
			}
		}
	}
}

// TestTurnsAreFound: a pattern that matches nothing would let everything pass.
func TestTurnsAreFound(t *testing.T) {
	for _, text := range []string{"what shall be", "A start takes it in its stride", "it is no TOML", "Another's socket"} {
		if !turns.MatchString(text) {
			t.Errorf("%q passes", text)
		}
	}
	for _, text := range []string{"there is no pid file", "a marshalled value", "the last one"} {
		if turns.MatchString(text) {
			t.Errorf("%q is found", text)
		}
	}
}
