package tokens

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOf(t *testing.T) {
	text := "a.b\t= [1,\"x#\\\"y\", 'z\\']#c\r\n\"\"\"q\n\"\"\"\"\" 'open\n'''still"
	want := []Token{
		{Word, "a.b"}, {Blank, "\t"}, {Mark, "="}, {Blank, " "}, {Mark, "["}, {Word, "1"}, {Mark, ","}, {String, `"x#\"y"`}, {Mark, ","},
		{Blank, " "}, {String, `'z\'`}, {Mark, "]"}, {Comment, "#c"}, {Newline, "\r\n"}, {String, "\"\"\"q\n\"\"\"\"\""}, {Blank, " "},
		{String, "'open"}, {Newline, "\n"}, {String, "'''"}, {Word, "still"},
	}
	if diff := cmp.Diff(want, slices.Collect(Of(text))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// FuzzOf: the tokens are the whole text.
func FuzzOf(f *testing.F) {
	for _, text := range []string{"", "\r", "a=1", "\"\\", "'''", "\"\"\"\\", "x\r", "#\r\r\n", "[[a]]\n{b=\"\"\"c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		joined := ""
		for token := range Of(text) {
			if token.Text == "" {
				t.Fatalf("%q has an empty token", text)
			}
			joined += token.Text
		}
		if joined != text {
			t.Errorf("%q became %q", text, joined)
		}
	})
}
