package accesslog

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
	"anyport/proxy/route"
)

var update = flag.Bool("update", false, "write the tables of docs/reference/access-log.md")

const reference = "../../docs/reference/access-log.md"

// TestReference holds the document to the table of fields and to the endings.
func TestReference(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for name, table := range map[string]string{"fields": fieldTable(), "by": byTable(), "phases": phaseTable(), "verdicts": verdictTable()} {
		begin := strings.Index(want, "<!-- "+name)
		if begin < 0 {
			t.Fatalf("%s has no place for %s", reference, name)
		}
		begin += strings.Index(want[begin:], "\n") + 1
		end := begin + strings.Index(want[begin:], "<!-- end -->")
		want = want[:begin] + table + want[end:]
	}
	if *update {
		if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), want); diff != "" {
		t.Errorf("go test ./proxy/accesslog -run TestReference -update would change it (-committed +found):\n%s", diff)
	}
}

func fieldTable() string {
	table := "| field | in | what it is |\n|---|---|---|\n"
	for _, f := range fields {
		in := "all"
		if f.in != inEach {
			var kinds []string
			for _, kind := range []lineKinds{endLine, progressLine, refusedLine} {
				if f.in&kind != 0 {
					kinds = append(kinds, kind.event())
				}
			}
			in = strings.Join(kinds, ", ")
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", f.name, in, f.about)
	}
	return table
}

func byTable() string {
	table := "| letter | `ended_by` | who |\n|---|---|---|\n"
	for by := range route.EndedByMost {
		letters := route.Ending{By: by}.AppendState(nil)
		table += fmt.Sprintf("| `%c` | `%s` | %s |\n", letters[0], by, by.About())
	}
	return table
}

func phaseTable() string {
	table := "| letter | `phase` | how far |\n|---|---|---|\n"
	for p := range route.PhaseMost {
		letters := route.Ending{Phase: p}.AppendState(nil)
		table += fmt.Sprintf("| `%c` | `%s` | %s |\n", letters[1], p, p.About())
	}
	return table
}

// verdictTable has the state of each verdict that a conn or flow ends with.
func verdictTable() string {
	table := "| verdict | `state` | a line each, or summed |\n|---|---|---|\n"
	for v := range route.Verdicts {
		states, summed := map[string]bool{}, ""
		for p := range route.PhaseMost {
			r := route.Record{Protocol: config.TCP, Verdict: v, Phase: p}
			states[string(r.Ending().AppendState(nil))] = true
		}
		tcp, udp := route.Record{Protocol: config.TCP, Verdict: v}, route.Record{Protocol: config.UDP, Verdict: v}
		if tcp.Ending().By == route.ByNobody && v != route.Closed {
			continue // no conn ends with it
		}
		switch {
		case tcp.Refused():
			summed = "summed"
		case udp.Refused():
			summed = "a line; over UDP, without an answer, summed"
		default:
			summed = "a line"
		}
		state := string(tcp.Ending().AppendState(nil))
		if len(states) > 1 && v != route.NoRoute && !tcp.Refused() {
			state = state[:1] + "."
		}
		table += fmt.Sprintf("| `%s` | `%s` | %s |\n", v, state, summed)
	}
	return table
}
