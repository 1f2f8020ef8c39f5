package main

import (
	"fmt"
	"slices"
	"strings"
)

// table is what has passed, a row for each step and a column for each kernel, as Markdown.
func table(all []*kernel) string {
	var rows []string // "step | as", in the order in which they were taken
	cells := map[string]map[*kernel]string{}
	for _, k := range all {
		for _, r := range k.results {
			row := r.Step + " | " + r.As
			if !slices.Contains(rows, row) {
				rows = append(rows, row)
				cells[row] = map[*kernel]string{}
			}
			cells[row][k] = fmt.Sprintf("%.0f s", r.Seconds)
			if r.Failed {
				cells[row][k] = "**failed**"
			}
		}
	}
	var text strings.Builder
	text.WriteString("\n| | as |")
	for _, k := range all {
		fmt.Fprintf(&text, " %s |", k.release)
	}
	text.WriteString("\n|---|---|" + strings.Repeat("---|", len(all)) + "\n")
	for _, row := range rows {
		fmt.Fprintf(&text, "| %s |", row)
		for _, k := range all {
			fmt.Fprintf(&text, " %s |", cells[row][k])
		}
		text.WriteString("\n")
	}
	return text.String()
}
