package config

import "strings"

// A ReferenceTable is one table of reference.toml, for those who show the reference in another
// form, such as a manual page.
type ReferenceTable struct {
	Header string // as a file opens it
	Intro  string // what precedes the keys
	Keys   []ReferenceKey
}

// A ReferenceKey is one key of a table.
type ReferenceKey struct {
	Above string // a text about this key and those below it, line by line; most keys have none
	Line  string // the assignment, of the default unless reference.toml shows something else
	Doc   string // may be empty, if Above says it all
}

// ReferenceHead is what is true for all tables.
func ReferenceHead() string { return uncommented(referenceHead) }

// Reference is what reference.toml says, in its order.
func Reference() []ReferenceTable {
	return []ReferenceTable{
		{"[listen]", "", referenceKeys(listenSection.rows())},
		{"[steering]", "", referenceKeys(steeringSection.rows())},
		{"[admin]", "", referenceKeys(adminSection.rows())},
		{"[log]", "", referenceKeys(logSection.rows())},
		{"[defaults]", "What routes inherit. Each of these keys can stand in a route too.", referenceKeys(defaultsSection.rows())},
		{"[route.NAME]", uncommented(referenceRoute), referenceKeys(routeSection.rows())},
		{"[route.NAME.health]", uncommented(referenceHealth), referenceKeys(healthSection.rows())},
	}
}

// referenceKeys leaves out keys that are tables of their own.
func referenceKeys(rows []row) []ReferenceKey {
	var keys []ReferenceKey
	for _, r := range rows {
		if r.shownValue() != "" {
			keys = append(keys, ReferenceKey{r.above, r.name + " = " + r.shownValue(), r.doc})
		}
	}
	return keys
}

// uncommented is the text of whole lines of comment.
func uncommented(text string) string {
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(text)) {
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(strings.TrimRight(line, "\n"), "#"), " "))
	}
	return strings.Join(lines, "\n")
}
