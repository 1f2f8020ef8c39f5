package text

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"
)

// Column is a column of a Grid.
type Column struct {
	Head  string
	Right bool // numbers
	Flex  int  // above 0: it may be made as narrow as that
}

// Grid is a table that fits a width: its flexible columns shrink, and a cell that is too long for its column
// loses its middle. No other column is ever cut.
type Grid struct {
	Columns []Column
	Rows    [][]string
}

// gap is what separates two columns.
const gap = "  "

// Write writes the table; a width of 0 is none.
func (g Grid) Write(w io.Writer, width int) error {
	out := bufio.NewWriter(w)
	for _, line := range g.Lines(width) {
		out.WriteString(line + "\n")
	}
	return out.Flush()
}

// Lines are the head and the rows.
func (g Grid) Lines(width int) []string {
	widths := g.widths(width)
	heads := make([]string, len(g.Columns))
	for i, c := range g.Columns {
		heads[i] = c.Head
	}
	lines := []string{g.line(heads, widths)}
	for _, row := range g.Rows {
		lines = append(lines, g.line(row, widths))
	}
	return lines
}

// widths are those of the longest cells, less what has to be saved for the table to fit: the widest flexible
// column gives first.
func (g Grid) widths(most int) []int {
	widths := make([]int, len(g.Columns))
	sum := len(gap) * (len(g.Columns) - 1)
	for i, c := range g.Columns {
		widths[i] = len(c.Head)
		for _, row := range g.Rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		sum += widths[i]
	}
	for ; most > 0 && sum > most; sum-- {
		widest := -1
		for i, c := range g.Columns {
			if c.Flex > 0 && widths[i] > max(c.Flex, len(c.Head)) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// line is one row. Nothing follows its last cell.
func (g Grid) line(cells []string, widths []int) string {
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteString(gap)
		}
		cell = Shorten(cell, widths[i])
		space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if g.Columns[i].Right {
			line.WriteString(space + cell)
		} else {
			line.WriteString(cell + space)
		}
	}
	return strings.TrimRight(line.String(), " ")
}

// Shorten leaves out the middle of a text that is longer than width, of at least 1. The end says most of an
// address.
func Shorten(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	head := (width - 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(width-1-head):])
}
