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
}

// flowHead are the columns; flowRow has a row of them.
const flowHead = "PROTO\tCLIENT\tDST\tROUTE\tORIGIN\tAGE\tIDLE\tTO ORIGIN\tTO CLIENT"

// NewFlowTable writes the head of the table. Flush ends it.
func NewFlowTable(out io.Writer) *FlowTable {
	t := &FlowTable{Writer: tabwriter.NewWriter(out, 10, 0, 2, ' ', 0)}
	fmt.Fprintln(t, flowHead)
	return t
}

// Add writes one row.
func (t *FlowTable) Add(f admin.Flow) error {
	fmt.Fprintln(t, flowRow(f))
	if t.rows++; t.rows%1000 == 0 {
		return t.Flush()
	}
	return nil
}

// flowRow is one line. "-" stands for an origin that is not reached yet, "waiting" for one that the conn
// waits for in a queue.
func flowRow(f admin.Flow) string {
	origin := cmp.Or(f.Origin, "-")
	if f.Waiting {
		origin = "waiting"
	}
	client := f.Client
	if f.Peer != "" {
		client += " via " + f.Peer
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", f.Protocol, client, f.Dst, f.Route, origin,
		Seconds(f.AgeSeconds), Seconds(f.IdleSeconds), Bytes(f.ToOrigin), Bytes(f.ToClient))
}
