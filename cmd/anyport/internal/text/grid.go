package text

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Column is a column of a Grid.
type Column struct {
	Head  string
	Right bool // numbers
	Flex  int  // above 0: it may be made as narrow as that
	Alone bool // of the first: a cell that leaves no room for the others has a line of its own
	Least int  // it is at least that wide
}

// Grid is a table that fits a width: its flexible columns shrink, and a cell that is too long for its column
// loses its middle. No other column is ever cut. Every table of the commands is one.
type Grid struct {
	Columns []Column
	Rows    [][]string // which may have fewer cells than there are columns

	notes map[int][]string // of a row: what belongs to no column, in lines below it
}

// gap is what separates two columns.
const gap = "  "

// newGrid is a grid without rows. Its numbers are the columns whose heads are not in left.
func newGrid(left []string, heads ...string) (g Grid) {
	for _, head := range heads {
		g.Columns = append(g.Columns, Column{Head: head, Right: !slices.Contains(left, head)})
	}
	return g
}

// Add adds a row. Empty notes are left out.
func (g *Grid) Add(cells []string, notes ...string) {
	for _, note := range notes {
		if note == "" {
			continue
		}
		if g.notes == nil {
			g.notes = map[int][]string{}
		}
		g.notes[len(g.Rows)] = append(g.notes[len(g.Rows)], note)
	}
	g.Rows = append(g.Rows, cells)
}

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
	return append([]string{g.line(g.heads(), widths)}, g.body(widths)...)
}

// heads are the cells of the first line.
func (g Grid) heads() []string {
	heads := make([]string, len(g.Columns))
	for i, c := range g.Columns {
		heads[i] = c.Head
	}
	return heads
}

// body is the rows and their notes.
func (g Grid) body(widths []int) (lines []string) {
	for n, row := range g.Rows {
		if g.standsAlone(row, widths) {
			lines = append(lines, row[0])
			row = append([]string{""}, row[1:]...)
		}
		lines = append(lines, g.line(row, widths))
		for _, note := range g.notes[n] {
			lines = append(lines, hanging(gap, note)...)
		}
	}
	return lines
}

// standsAlone reports whether the first cell of a row needs a line of its own.
func (g Grid) standsAlone(row []string, widths []int) bool {
	return g.Columns[0].Alone && utf8.RuneCountInString(row[0]) > widths[0]
}

// widths are those of the longest cells, less what has to be saved for the table to fit: the widest flexible
// column gives first.
func (g Grid) widths(most int) []int {
	widths := make([]int, len(g.Columns))
	sum := len(gap) * (len(g.Columns) - 1)
	for i := len(widths) - 1; i >= 0; i-- { // the first one last: it may get what the others leave
		c := g.Columns[i]
		widths[i] = max(c.Least, len(c.Head))
		for _, row := range g.Rows {
			if i >= len(row) {
				continue
			}
			if n := utf8.RuneCountInString(row[i]); !c.Alone || most == 0 || n <= most-sum {
				widths[i] = max(widths[i], n)
			}
		}
		sum += widths[i]
	}
	for ; most > 0 && sum > most; sum-- {
		widest := g.widestFlexible(widths)
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// widestFlexible is the flexible column that gives a character next; -1: none can.
func (g Grid) widestFlexible(widths []int) int {
	widest := -1
	for i, c := range g.Columns {
		if c.Flex > 0 && widths[i] > max(c.Flex, len(c.Head)) && (widest < 0 || widths[i] > widths[widest]) {
			widest = i
		}
	}
	return widest
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
