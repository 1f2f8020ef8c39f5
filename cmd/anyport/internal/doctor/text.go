package doctor

import (
	"fmt"
	"io"
	"strings"

	"anyport/cmd/anyport/internal/text"
)

// Write prints the report for people: what was found in columns, and below each fault
// why it matters and what to type.
func (r Report) Write(w io.Writer) error {
	width := 0
	for _, f := range r.Findings {
		width = max(width, len(f.Check))
	}
	var out strings.Builder
	for _, f := range r.Findings {
		lead := fmt.Sprintf("%-7s  %-*s  ", f.Status, width, f.Check)
		indent := strings.Repeat(" ", len(lead))
		fmt.Fprintln(&out, lead+wrap(f.What, indent))
		if f.Why != "" {
			fmt.Fprintln(&out, indent+"why:  "+wrap(f.Why, indent+"      "))
		}
		if f.Mend != "" {
			fmt.Fprintln(&out, indent+"mend: "+strings.ReplaceAll(f.Mend, "\n", "\n"+indent+"      "))
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// Summary is the report in one line.
func (r Report) Summary() string {
	found := []string{}
	if r.Failures > 0 {
		found = append(found, text.Count(r.Failures, "failure", "failures"))
	}
	if r.Warnings > 0 {
		found = append(found, text.Count(r.Warnings, "warning", "warnings"))
	}
	switch {
	case !r.Works:
		return "this host would not run it: " + strings.Join(found, ", ")
	case len(found) > 0:
		return "this host can run it, with " + strings.Join(found, ", ")
	}
	return "this host can run it"
}

// columns is where text is wrapped. Commands never are: people copy them line by line.
const columns = 100

// wrap breaks text at blanks, with indent before each line but the first.
func wrap(text, indent string) string {
	var out strings.Builder
	at := len(indent)
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case at+1+len(word) > columns:
			out.WriteString("\n" + indent)
			at = len(indent)
		default:
			out.WriteByte(' ')
			at++
		}
		out.WriteString(word)
		at += len(word)
	}
	return out.String()
}
