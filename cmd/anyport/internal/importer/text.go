package importer

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Write writes the report as a table, and the notes below it: each rule, and its routes or why it is
// left.
func (r *Result) Write(w io.Writer) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RULE\tROUTES")
	for _, l := range r.Report {
		for i, cell := range l.cells() {
			rule := ""
			if i == 0 {
				rule = fmt.Sprintf("%s %d", chainName(l.Chain), l.Rule.Number)
			}
			fmt.Fprintf(table, "%s\t%s\n", rule, cell)
		}
	}
	table.Flush()
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintln(&b, r.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

// cells are the lines of the second column.
func (l Line) cells() (all []string) {
	if len(l.Routes) > 0 {
		all = append(all, strings.Join(l.Routes, ", "))
	}
	for _, reason := range l.Left {
		how := "left: "
		if len(l.Routes) > 0 {
			how = "left in part: "
		}
		all = append(all, how+reason)
	}
	if l.Outside {
		all = append(all, "in part: it also takes dsts outside of --prefix, for which it stays")
	}
	if l.Kept != "" {
		all = append(all, l.Kept)
	}
	return all
}

// Summary counts the rules.
func (r *Result) Summary() string {
	imported, part, left := 0, 0, 0
	for _, l := range r.Report {
		switch {
		case l.Imported():
			imported++
		case len(l.Routes) > 0:
			part++
		case len(l.Left) > 0:
			left++
		}
	}
	return fmt.Sprintf("imported %d, in part %d, left %d", imported, part, left)
}
