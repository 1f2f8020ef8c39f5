package integration

import "testing"

// TestTutorial follows docs/tutorial/first-prefix.md: it saves its files, types its commands in order, and
// sees what the page shows.
func TestTutorial(t *testing.T) {
	t.Parallel()
	needTool(t, "ncat")
	s := newHost(t, "tutorial").newSession(t)
	for _, b := range documents(t)["../docs/tutorial/first-prefix.md"] {
		s.follow(t, b)
	}
	if s.count < 30 {
		t.Errorf("the tutorial has only %d commands", s.count)
	}
}

// TestShownAs: a document that shows something else than what is printed is noticed.
func TestShownAs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want, got string
		same      bool
	}{
		{"", "", true}, {"", "x", false}, {"a", "", false},
		{"LISTEN 0 … *:*", "LISTEN   0  4096 *:5 *:*", true},
		{"LISTEN 0 … *:*", "LISTEN 0 4096 *:5 *:*\nLISTEN 0 4096 *:6 *:*", false},
		{"…\nb\n…", "a\nb\nc\nd", true}, {"…\nb\n…", "b", true}, {"…\nb\n…", "a\nbb", false},
		{"a…z", "a z", true}, {"a\nb", "a", false}, {"a.c", "abc", false},
	} {
		if got := shownAs(c.want).MatchString(c.got + "\n"); got != c.same {
			t.Errorf("%q as %q: %v", c.got, c.want, got)
		}
	}
}
