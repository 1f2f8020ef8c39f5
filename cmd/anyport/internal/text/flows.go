package text

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"

	"anyport/cmd/anyport/internal/admin"
)

// FlowTable is a table of flows. It aligns a thousand rows at a time, because there may be more flows
// than memory should hold; so columns may shift after each thousand.
type FlowTable struct {
	*tabwriter.Writer
	rows int
	row  func(admin.Flow) string
}

// flowHead are the columns; flowRow has a row of them.
const flowHead = "ID\tPROTO\tCLIENT\tDST\tROUTE\tORIGIN\tSTATE\tPATH\tAGE\tIDLE\tTO ORIGIN\tTO CLIENT"

// NewFlowTable writes the head of the table. Flush ends it.
func NewFlowTable(out io.Writer) *FlowTable {
	return newFlowTable(out, flowHead, flowRow)
}

// NewRatesTable is a table of flows that have their rates.
func NewRatesTable(out io.Writer) *FlowTable {
	return newFlowTable(out, flowHead+"\tTO ORIGIN/S\tTO CLIENT/S", func(f admin.Flow) string {
		return fmt.Sprintf("%s\t%s\t%s", flowRow(f), Bytes(uint64(f.FlowRates.ToOrigin)), Bytes(uint64(f.FlowRates.ToClient)))
	})
}

func newFlowTable(out io.Writer, head string, row func(admin.Flow) string) *FlowTable {
	t := &FlowTable{Writer: tabwriter.NewWriter(out, 10, 0, 2, ' ', 0), row: row}
	fmt.Fprintln(t, head)
	return t
}

// Add writes one row.
func (t *FlowTable) Add(f admin.Flow) error {
	fmt.Fprintln(t, t.row(f))
	if t.rows++; t.rows%1000 == 0 {
		return t.Flush()
	}
	return nil
}

// flowRow is one line.
func flowRow(f admin.Flow) string {
	client := f.Client
	if f.Peer != "" {
		client += " via " + f.Peer
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", f.ID, f.Protocol, client, f.Dst, f.Route, flowOrigin(f), f.State, flowPath(f),
		Seconds(f.AgeSeconds), Seconds(f.IdleSeconds), Bytes(f.ToOrigin), Bytes(f.ToClient))
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
