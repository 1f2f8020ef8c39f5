package text

import (
	"bufio"
	"cmp"
	"io"

	"anyport/cmd/anyport/internal/admin"
)

// FlowTable is a Grid of flows that is written while it grows: a thousand rows at a time, because there may be
// more flows than memory should hold. So a column may become wider after each thousand.
type FlowTable struct {
	out    *bufio.Writer
	grid   Grid
	row    func(admin.Flow) []string
	headed bool
}

// flowHeads are the columns; flowRow has a row of them.
var flowHeads = []string{"ID", "PROTO", "CLIENT", "DST", "ROUTE", "ORIGIN", "STATE", "PATH", "AGE", "IDLE", "TO ORIGIN", "TO CLIENT"}

// NewFlowTable makes a table without rows. Flush ends it.
func NewFlowTable(out io.Writer) *FlowTable {
	return newFlowTable(out, flowHeads, flowRow)
}

// NewRatesTable is a table of flows that have their rates.
func NewRatesTable(out io.Writer) *FlowTable {
	heads := append(append([]string{}, flowHeads...), "TO ORIGIN/S", "TO CLIENT/S")
	return newFlowTable(out, heads, func(f admin.Flow) []string {
		return append(flowRow(f), Bytes(uint64(f.FlowRates.ToOrigin)), Bytes(uint64(f.FlowRates.ToClient)))
	})
}

func newFlowTable(out io.Writer, heads []string, row func(admin.Flow) []string) *FlowTable {
	t := &FlowTable{out: bufio.NewWriter(out), grid: newGrid(heads, heads...), row: row}
	for i := range t.grid.Columns {
		t.grid.Columns[i].Least = 8 // so that few columns become wider
	}
	return t
}

// rowsAtOnce is how many rows are aligned together.
const rowsAtOnce = 1000

// Add writes one row.
func (t *FlowTable) Add(f admin.Flow) error {
	t.grid.Add(t.row(f))
	if len(t.grid.Rows) >= rowsAtOnce {
		return t.Flush()
	}
	return nil
}

// Flush writes the rows that were added, and before the first of all the head.
func (t *FlowTable) Flush() error {
	widths := t.grid.widths(0)
	lines := t.grid.body(widths)
	if !t.headed {
		t.headed = true
		lines = append([]string{t.grid.line(t.grid.heads(), widths)}, lines...)
	}
	for _, line := range lines {
		t.out.WriteString(line + "\n")
	}
	for i, width := range widths {
		t.grid.Columns[i].Least = width
	}
	t.grid.Rows = t.grid.Rows[:0]
	return t.out.Flush()
}

// flowRow is one line.
func flowRow(f admin.Flow) []string {
	client := f.Client
	if f.Peer != "" {
		client += " via " + f.Peer
	}
	return []string{
		f.ID, f.Protocol, client, f.Dst, f.Route, flowOrigin(f), f.State, flowPath(f),
		Seconds(f.AgeSeconds), Seconds(f.IdleSeconds), Bytes(f.ToOrigin), Bytes(f.ToClient),
	}
}

// flowPath is which way a flow's datagrams go, and why not through the kernel alone; "-" for a conn.
func flowPath(f admin.Flow) string {
	if f.PathReason != "" {
		return f.Path + ": " + f.PathReason
	}
	return cmp.Or(f.Path, "-")
}

// flowOrigin is "-" for an origin that is not reached yet, "waiting" for one that the conn waits for in a queue.
func flowOrigin(f admin.Flow) string {
	if f.Waiting {
		return "waiting"
	}
	return cmp.Or(f.Origin, "-")
}
