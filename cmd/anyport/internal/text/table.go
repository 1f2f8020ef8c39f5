package text

import (
	"io"
	"strings"
	"unicode/utf8"
)

// lineWidth is what a narrow terminal shows of a line.
const lineWidth = 80

// table is rows in columns that fit into lineWidth where they can: a first cell that leaves no room for
// the others has a line of its own, and what does not belong to a column follows in indented lines.
type table struct {
	head []string
	rows []row
}

// row is one row of a table. Its cells may be fewer than the table has columns.
type row struct {
	cells []string
	notes []string // each begins a line below the row
}

// add adds a row. Empty notes are left out.
func (t *table) add(cells []string, notes ...string) {
	r := row{cells: cells}
	for _, note := range notes {
		if note != "" {
			r.notes = append(r.notes, note)
		}
	}
	t.rows = append(t.rows, r)
}

// widths are those of the columns. The first one gets what the others leave, and at least its head.
func (t *table) widths() []int {
	widths, rest := make([]int, len(t.head)), 0
	for i := len(t.head) - 1; i >= 0; i-- {
		widths[i] = utf8.RuneCountInString(t.head[i])
		for _, r := range t.rows {
			if n := width(r, i); n > widths[i] && (i > 0 || n <= lineWidth-rest) {
				widths[i] = n
			}
		}
		rest += widths[i] + len(gap)
	}
	return widths
}

// width is that of a cell of r.
func width(r row, i int) int {
	if i >= len(r.cells) {
		return 0
	}
	return utf8.RuneCountInString(r.cells[i])
}

// write writes the table; nothing if it has no rows.
func (t *table) write(w io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	widths := t.widths()
	writeLine(w, cellsText(t.head, widths))
	for _, r := range t.rows {
		cells := r.cells
		if width(r, 0) > widths[0] {
			writeLine(w, cells[0])
			cells = append([]string{""}, cells[1:]...)
		}
		writeLine(w, cellsText(cells, widths))
		for _, note := range r.notes {
			writeHanging(w, "  ", note)
		}
	}
}

// cellsText is one line of a table.
func cellsText(cells []string, widths []int) string {
	var line strings.Builder
	for i, cell := range cells {
		line.WriteString(cell)
		line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+len(gap)))
	}
	return line.String()
}

// writeHanging writes a text behind head, and what does not fit into the line below the text's begin.
func writeHanging(w io.Writer, head, text string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(head))
	for _, line := range wrap(text, lineWidth-len(indent)) {
		writeLine(w, head+line)
		head = indent
	}
}

func writeLine(w io.Writer, line string) { io.WriteString(w, strings.TrimRight(line, " ")+"\n") }

// wrap breaks a text into lines: between its clauses if it can, and otherwise between words. A word that
// is longer than a line stays whole.
func wrap(text string, width int) (lines []string) {
	line := ""
	put := func(part string) {
		if line != "" && utf8.RuneCountInString(line+strings.TrimRight(part, " ")) > width {
			lines, line = append(lines, line), ""
		}
		line += part
	}
	for _, clause := range clauses(text) {
		if utf8.RuneCountInString(strings.TrimRight(clause, " ")) <= width {
			put(clause)
			continue
		}
		for _, word := range strings.SplitAfter(clause, " ") {
			put(word)
		}
	}
	return append(lines, line)
}

// clauses cuts a text after each mark that a space follows.
func clauses(text string) (all []string) {
	for rest := text; rest != ""; {
		n := len(rest)
		for _, mark := range []string{", ", "; ", ": "} {
			if i := strings.Index(rest, mark); i >= 0 {
				n = min(n, i+len(mark))
			}
		}
		all, rest = append(all, rest[:n]), rest[n:]
	}
	return all
}
