package report

import (
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/integration/bench/load"
)

func TestSummary(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   string
	}{
		{nil, "–"},
		{[]float64{0}, "0"},
		{[]float64{2, 2}, "2"},
		{[]float64{3, 1, 2}, "2 (1 … 3)"},
		{[]float64{4, 1, 2, 3}, "2.50 (1 … 4)"},
		{[]float64{1234567, 12.34, 0.1234}, "12.3 (0.123 … 1,234,567)"},
		{[]float64{-1234.5}, "-1,234"},
	} {
		if got := summarise(test.values).String(); got != test.want {
			t.Errorf("%v: %q, not %q", test.values, got, test.want)
		}
	}
}

// example has three runs of a proxy, two of its rival, one of plain routing.
func example() (Samples, []Section) {
	var s Samples
	for peer, ops := range map[string][]float64{"anyport": {90, 120, 100}, "rival": {40, 60}, routed: {200}} {
		for run, n := range ops {
			r := load.Result{Ops: n, Seconds: 1, Kernel: 4 * n}
			if peer != routed {
				r.ProxyCPU = 1
			}
			s.All = append(s.All, Sample{Scenario: "scenario", Peer: peer, Run: run, Result: r})
		}
	}
	return s, []Section{{
		Name: "scenario", Title: "A title with <, > & \"", Rival: "rival", Peers: []string{"anyport", "absent", "rival", routed},
		Metrics: []Metric{
			{Name: "ops/s", Value: func(r load.Result) float64 { return r.Ops / r.Seconds }},
			{Name: "CPU-s", Less: true, CPU: true, Value: func(r load.Result) float64 { return r.ProxyCPU }},
			{Name: "kernel", Over: true, Value: func(r load.Result) float64 { return r.Kernel }},
		},
	}}
}

func TestTable(t *testing.T) {
	samples, sections := example()
	want := [][]string{
		{"peer", "ops/s", "× rival", "× routed", "CPU-s", "× rival", "kernel"},
		{"anyport", "100 (90.0 … 120)", "2.00", "0.50", "1", "1.00", "-400 (-440 … -320)"},
		{"rival", "50.0 (40.0 … 60.0)", "1.00", "0.25", "1", "1.00", "-600 (-640 … -560)"},
		{"routed", "200", "4.00", "1.00", "–", "–", "0"},
	}
	if diff := cmp.Diff(want, samples.table(sections[0])); diff != "" {
		t.Error(diff)
	}
}

func TestTableWithoutPlainRouting(t *testing.T) {
	samples, sections := example()
	for i := range samples.All {
		if samples.All[i].Peer == routed {
			samples.All[i].Scenario = "another"
		}
	}
	want := []string{"rival", "50.0 (40.0 … 60.0)", "1.00", "–", "1", "1.00", "–"}
	if diff := cmp.Diff(want, samples.row(sections[0], "rival")); diff != "" {
		t.Error(diff)
	}
}

func TestSVGIsWellFormed(t *testing.T) {
	samples, sections := example()
	decoder := xml.NewDecoder(strings.NewReader(samples.SVG(append(sections, sections[0], sections[0]))))
	bars := 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 9 {
		t.Errorf("%d bars, not three in each of three panels", bars)
	}
}

func TestMarkdownRowsAreAsWideAsTheirHeads(t *testing.T) {
	samples, sections := example()
	tables := 0
	width := 0
	for line := range strings.Lines(samples.Markdown(sections, [][2]string{{"anyport", "a note"}})) {
		columns := strings.Count(line, "|")
		if strings.HasPrefix(line, "|---") {
			tables++
		}
		if columns > 0 && width > 0 && columns != width {
			t.Errorf("%d columns, not %d: %s", columns, width, line)
		}
		width = columns
	}
	if tables != 1 {
		t.Errorf("%d tables", tables)
	}
}

// TestAgain: a scenario that was measured again has its new section in the page, which says so once. All others
// stay as they are.
func TestAgain(t *testing.T) {
	samples, sections := example()
	samples.Runs, samples.Seconds = 3, 1
	last := sections[0]
	last.Name = "last"
	page := samples.Markdown(append(sections, last), nil)
	for _, section := range []Section{sections[0], last} {
		start := heading(section) + "\n" + section.Title + ".\n"
		want := strings.Replace(page, start, start+"\nMeasured again 0001-01-01 00:00:00 UTC, in 3 runs of 1 s.\n", 1)
		for range 2 {
			again, err := samples.Again(page, []Section{section})
			if err != nil || again != want {
				t.Errorf("%s: %v %s", section.Name, err, cmp.Diff(want, again))
			}
			page = again
		}
	}
	sections[0].Name = "none"
	if _, err := samples.Again(page, sections); err == nil {
		t.Error("a section that the page does not have is replaced")
	}
}

// TestMarkdownIsNarrow: no line is longer than widest, and a table that is too wide
// comes in parts, which begin with the peers and together have all of its columns.
func TestMarkdownIsNarrow(t *testing.T) {
	var rows [][]string
	for _, name := range []string{"peer", "anyport", "haproxy"} {
		row := []string{name}
		for i := range 9 {
			row = append(row, strings.Repeat(string(rune('a'+i)), 15))
		}
		rows = append(rows, row)
	}
	rows[0][3], rows[0][7] = "× haproxy", "× haproxy"

	parts := narrow(rows)
	var heads []string
	for _, part := range parts {
		for i, row := range part {
			if row[0] != rows[i][0] || width([][]string{row}, 1, len(row)) > widest {
				t.Errorf("row %q", row)
			}
		}
		if strings.HasPrefix(part[0][1], "×") {
			t.Errorf("%q stands apart from its figure", part[0])
		}
		heads = append(heads, part[0][1:]...)
	}
	if !slices.Equal(heads, rows[0][1:]) || len(parts) != 3 {
		t.Errorf("%d parts with the columns %q", len(parts), heads)
	}
	for line := range strings.Lines(item(strings.Repeat("words and more ", 50))) {
		if len(line) > widest+1 {
			t.Errorf("%d characters: %s", len(line), line)
		}
	}
}
