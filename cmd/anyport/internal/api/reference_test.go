package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"anyport/cmd/anyport/internal/goldentest"
	"anyport/proxy/health"
	"anyport/proxy/route"
)

const referencePage = "../../../../docs/reference/metrics.md"

const referenceHead = `# Metrics

These are all metrics of ` + "`/metrics`" + `, which ` + "`admin.http`" + ` serves. A test generates this page from the
table that the code exports them from (` + "`TestReference`" + ` of ` + "`cmd/anyport/internal/api`" + `). [Collect
metrics](../how-to/metrics.md) says how to scrape them, and has a dashboard and alerts.

- **Names and labels** of this page are stable: a release may add some, and does not rename any.
- **Counters** go on over a reload, an upgrade and, if the steering is pinned or stored, a crash:
  see [What outlives the process](../OPERATING.md#what-outlives-the-process). Only
  ` + "`anyport_go_*`" + ` and ` + "`anyport_process_*`" + ` begin again with each process.
- **Labels** never have an address of a client. The route is empty for what no route takes.
- **A sample that is missing is 0**, of a metric with the label ` + "`verdict`" + ` or ` + "`cause`" + `. Samples of
  what a route does not have, such as a queue, are missing, too.
- **Bytes** are payload, without headers.

`

// TestReference: the page of the metrics is that of the table. -update writes it.
func TestReference(t *testing.T) {
	gathered, err := newGatherer(busyStatus).Gather()
	if err != nil {
		t.Fatal(err)
	}
	page := referenceHead + "| metric | type | labels | what it says |\n|---|---|---|---|\n"
	for _, f := range families {
		if !slices.ContainsFunc(gathered, func(g *dto.MetricFamily) bool { return g.GetName() == f.name }) {
			t.Errorf("%s has no sample here: give busyStatus one, or TestMetrics does not hold its name", f.name)
		}
		page += referenceRow(f.name, f.kind, f.labels, f.help)
	}
	page += "\n## Of the process and of Go\n\n| metric | type | labels | what it says |\n|---|---|---|---|\n"
	for _, g := range gathered {
		if strings.HasPrefix(g.GetName(), "anyport_go_") || strings.HasPrefix(g.GetName(), "anyport_process_") {
			page += referenceRow(g.GetName(), g.GetType(), labelsOf(g), g.GetHelp())
		}
	}
	page += "\n## Values of labels\n\n| label | values |\n|---|---|\n"
	page += valuesRow("`protocol`", "tcp", "udp")
	page += valuesRow("`direction`", route.ToOrigin.String(), route.ToClient.String())
	page += valuesRow("`verdict` of conns, flows and datagrams: the words of the access log", verdicts()...)
	page += valuesRow("`cause`", causes()...)
	page += valuesRow("`use`", "process", "tcp", "flows", "replies")
	page += "\nThe verdicts of `anyport_steering_lookups_total` are those of the kernel:\n[OPERATING.md](../OPERATING.md#monitoring) lists them.\n"
	goldentest.Compare(t, referencePage, page)
}

func referenceRow(name string, kind dto.MetricType, labels []string, help string) string {
	var quoted []string
	for _, l := range labels {
		quoted = append(quoted, "`"+l+"`")
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, strings.ToLower(kind.String()), strings.Join(quoted, ", "), strings.TrimSuffix(strings.ReplaceAll(help, "|", "\\|"), "."))
}

func valuesRow(label string, values ...string) string {
	return fmt.Sprintf("| %s | `%s` |\n", label, strings.Join(values, "`, `"))
}

// labelsOf are the labels of a metric that the registry has.
func labelsOf(g *dto.MetricFamily) (names []string) {
	for _, l := range g.Metric[0].Label {
		names = append(names, l.GetName())
	}
	return names
}

// verdicts are those that are counted.
func verdicts() (words []string) {
	for v := route.Forwarded; v < route.Verdicts; v++ {
		words = append(words, v.String())
	}
	return words
}

func causes() (words []string) {
	for v := range health.Verdicts {
		words = append(words, v.String())
	}
	return words
}
