package habits

import (
	"regexp"
	"strings"
	"sync"
)

// Language is the language that a text is in, which is not TOML: "file of nginx"; and the
// words from start to end that tell it. It is "" for others.
func Language(text string) (name string, start, end int) {
	for _, l := range languages() {
		if at := l.form.FindStringIndex(text); at != nil {
			words := text[at[0]:at[1]]
			return l.name, at[1] - len(strings.TrimLeft(words, " \t\r\n")), at[1]
		}
	}
	return "", 0, 0
}

// A language is one that people bring files in.
type language struct {
	name string         // "file of nginx"
	form *regexp.Regexp // of a line that tells
}

// languages are in the order of the table: the first whose form fits is named.
var languages = sync.OnceValue(func() []language {
	var all []language
	for _, h := range habits {
		if strings.HasPrefix(h.in, "file ") {
			all = append(all, language{h.in, regexp.MustCompile(`(?m)` + h.found)})
		}
	}
	return all
})
