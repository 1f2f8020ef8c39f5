package config

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

//go:generate go test -count=1 -run ^(TestReferenceIsGenerated|TestSchemaIsGenerated)$ . -update

// The lines of reference.toml are referenceWidth characters long at most, as far as the
// values let them, and comments begin at referenceColumn or behind the longest usual value.
const (
	referenceWidth  = 100
	referenceColumn = 29
	usualValue      = 34
)

const referenceHead = `# Every key of anyport's configuration, each with its default unless noted.
#
# Durations are strings in Go's form: "500ms", "30s", "1h30m". Sizes are strings with a unit
# ("512KiB", "4MiB", "10MB") or integers in bytes. An unknown key is an error.
# "anyport check -c FILE" lists all errors of a file at once.
# A key of a route that is commented out is checked, but its behaviour is not in this version: any
# value other than the one shown here is refused.
`

const referenceRoute = `
# One table for each route. Its name is 1 to 64 of a-z, 0-9, - and _. Of two routes, the one with
# the longer prefix takes a port, then the one with the narrower range of ports; if they still tie,
# the file is in error.
`

const referenceHealth = `
# How the origins of a route are checked; without this table they are not. Routes can share the table
# of a check: write it as [health.NAME], with the same keys, and health = "NAME" in each route. Checks
# are dialled from the route's source. Routes with equal checks of the same address share them.
`

// reference is the text of reference.toml.
func reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, t := range tablesAboveRoutes() {
		writeTable(&b, "\n"+t.header, t.doc, t.rows)
	}
	b.WriteString(referenceRoute)
	writeTable(&b, "[route.game]", "", routeSection.rows())
	b.WriteString(referenceHealth)
	writeTable(&b, "# [route.game.health]", "", asExample(healthSection.rows()))
	return b.String()
}

// documentedTable is a table of the file with what is said of it as a whole.
type documentedTable struct {
	header, doc string
	rows        []row
}

// tablesAboveRoutes are the tables that precede those of the routes, in the order of reference.toml.
func tablesAboveRoutes() []documentedTable {
	return []documentedTable{
		{"[listen]", "", listenSection.rows()},
		{"[steering]", "", steeringSection.rows()},
		{"[admin]", "", adminSection.rows()},
		{"[log]", "", logSection.rows()},
		{"[fleet]", "many hosts that serve the same prefixes", fleetSection.rows()},
		{"[knock]", "for routes with knock = [\"spa\"]", knockSection.rows()},
		{"[announce]", "routes for BIRD or FRR to export", announceSection.rows()},
		{"[defaults]", "what routes inherit; each of these keys can stand in a route too", defaultsSection.rows()},
	}
}

// asExample shows rows of a table that is not there by default.
func asExample(rows []row) []row {
	for i := range rows {
		rows[i].commented = true
	}
	return rows
}

// writeTable writes a table with its keys; a key without a value is a table of its own.
func writeTable(b *strings.Builder, header, doc string, rows []row) {
	column := referenceColumn
	for _, r := range rows {
		if n := utf8.RuneCountInString(r.assignment()); r.doc != "" && n <= usualValue {
			column = max(column, n+2)
		}
	}
	writeLine(b, header, doc, column)
	for _, r := range rows {
		if r.shownValue() == "" {
			continue
		}
		if r.gap {
			b.WriteString("\n")
		}
		writeAbove(b, r.above)
		writeLine(b, r.assignment(), r.doc, column)
	}
}

// assignment is the row's line without its comment.
func (r row) assignment() string {
	if r.commented {
		return "# " + r.name + " = " + r.shownValue()
	}
	return r.name + " = " + r.shownValue()
}

// shownValue is "" for a key that is a table of its own.
func (r row) shownValue() string {
	if r.example != "" {
		return r.example
	}
	return r.fallback
}

// writeAbove writes the comment above a key.
func writeAbove(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			line = "# " + line
		}
		b.WriteString(line + "\n")
	}
}

// writeLine writes a line with its comment behind it, which goes on below where it is long.
func writeLine(b *strings.Builder, line, doc string, column int) {
	if doc == "" {
		b.WriteString(line + "\n")
		return
	}
	at := max(column, utf8.RuneCountInString(strings.TrimLeft(line, "\n"))+2)
	fmt.Fprintf(b, "%s%*s", line, at+1-utf8.RuneCountInString(strings.TrimLeft(line, "\n")), "#")
	for _, word := range strings.Fields(doc) {
		if at+2+utf8.RuneCountInString(word) > referenceWidth {
			fmt.Fprintf(b, "\n%*s#", column, "")
			at = column
		}
		b.WriteString(" " + word)
		at += 1 + utf8.RuneCountInString(word)
	}
	b.WriteString("\n")
}
