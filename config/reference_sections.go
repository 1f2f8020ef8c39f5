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
	var tables []ReferenceTable
	for _, t := range tablesAboveRoutes() {
		tables = append(tables, ReferenceTable{t.header, sentence(t.doc), referenceKeys(t.rows)})
	}
	return append(tables,
		ReferenceTable{"[route.NAME]", uncommented(referenceRoute), referenceKeys(routeSection.rows())},
		ReferenceTable{"[route.NAME.health]", uncommented(referenceHealth), referenceKeys(healthSection.rows())})
}

// sentence is the text of a comment behind a header as a sentence.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
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
