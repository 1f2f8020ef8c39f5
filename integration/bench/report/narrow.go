package report

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// item returns one item of a list, wrapped.
func item(text string) string {
	var b strings.Builder
	line := "-"
	for _, word := range strings.Fields(text) {
		if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > widest {
			b.WriteString(line + "\n")
			line = " "
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// writeTable writes rows, the first of which is the head, after an empty line.
func writeTable(b *strings.Builder, rows [][]string) {
	b.WriteString("\n")
	for i, row := range rows {
		b.WriteString(markdownRow(row))
		if i == 0 {
			fmt.Fprintf(b, "|---|%s\n", strings.Repeat("--:|", len(row)-1))
		}
	}
}

func markdownRow(row []string) string { return "| " + strings.Join(row, " | ") + " |\n" }

// widest is the longest line that the report has, in characters.
const widest = 100

// narrow splits the columns of a table that is wider than widest over several tables, each with the
// names of the peers. A ratio stays with the figure that it belongs to.
func narrow(rows [][]string) (parts [][][]string) {
	for from := 1; from < len(rows[0]); {
		to := group(rows[0], from)
		for to < len(rows[0]) && width(rows, from, group(rows[0], to)) <= widest {
			to = group(rows[0], to)
		}
		part := make([][]string, len(rows))
		for i, row := range rows {
			part[i] = append([]string{row[0]}, row[from:to]...)
		}
		parts = append(parts, part)
		from = to
	}
	return parts
}

// group returns the end of the columns that belong to the one at from.
func group(heads []string, from int) int {
	to := from + 1
	for to < len(heads) && strings.HasPrefix(heads[to], "×") {
		to++
	}
	return to
}

// width is the longest line of a table of the first column and those of [from, to).
func width(rows [][]string, from, to int) (most int) {
	for _, row := range rows {
		line := markdownRow(append([]string{row[0]}, row[from:to]...))
		most = max(most, utf8.RuneCountInString(line)-1)
	}
	return most
}
