package proxyconf

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// WriteReport writes a table of all lines: the keys that each became, or why it was left.
func (r *Reading) WriteReport(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range r.Lines {
		fmt.Fprintf(table, "%s\t%s\t%s\n", l.Place(), printable(l.Text), l.Outcome())
	}
	return table.Flush()
}

// printable keeps a line on one line of the report.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)
}

// Outcome is what became of the line, in one line of text.
func (l *Line) Outcome() string {
	var parts []string
	if len(l.Keys) > 0 {
		parts = append(parts, "→ "+strings.Join(l.Keys, ", "))
	}
	if len(l.Differences) > 0 {
		parts = append(parts, "differs: "+strings.Join(l.Differences, "; "))
	}
	if reasons := l.Reasons(); len(reasons) > 0 {
		parts = append(parts, "left: "+strings.Join(reasons, "; "))
	}
	return strings.Join(parts, "; ")
}
