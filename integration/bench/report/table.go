package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table is a section's figures as text; the first row is the heads of the columns.
func (s Samples) table(section Section) (rows [][]string) {
	rows = append(rows, section.heads())
	for _, peer := range section.Peers {
		if row := s.row(section, peer); row != nil {
			rows = append(rows, row)
		}
	}
	return rows
}

func (section Section) heads() []string {
	heads := []string{"peer"}
	for i, m := range section.Metrics {
		heads = append(heads, m.Name)
		if i == 0 || m.CPU {
			heads = append(heads, "× "+section.Rival)
		}
		if i == 0 {
			heads = append(heads, "× "+routed)
		}
	}
	return heads
}

// row is nil for a peer without samples.
func (s Samples) row(section Section, peer string) []string {
	row := []string{peer}
	for i, m := range section.Metrics {
		own := s.summary(section, peer, m)
		if i == 0 && own.Runs == 0 {
			return nil
		}
		if m.CPU && own.Max == 0 { // no process at all
			own = Summary{}
		}
		row = append(row, own.String())
		if i == 0 || m.CPU {
			row = append(row, own.over(s.summary(section, section.Rival, m)))
		}
		if i == 0 {
			row = append(row, own.over(s.summary(section, routed, m)))
		}
	}
	return row
}

func (s Samples) summary(section Section, peer string, m Metric) Summary {
	return summarise(s.values(section, peer, m))
}

// Text prints all sections for a terminal.
func (s Samples) Text(out io.Writer, sections []Section) error {
	for _, section := range sections {
		fmt.Fprintf(out, "\n%s: %s\n", section.Name, section.Title)
		columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range s.table(section) {
			fmt.Fprintln(columns, "  "+strings.Join(row, "\t"))
		}
		if err := columns.Flush(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "\n%s\n", strings.Join(s.circumstances(), "\n"))
	return err
}
