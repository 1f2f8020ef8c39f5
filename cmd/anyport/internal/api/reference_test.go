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
  see [What outlives the process](restarts.md#what-outlives-the-process). Only
  ` + "`anyport_go_*`" + ` and ` + "`anyport_process_*`" + ` begin again with each process.
- **Labels** never have an address of a client. The route is empty for what no route takes.
- **A sample that is missing is 0**, of a metric with the label ` + "`verdict`" + ` or ` + "`cause`" + `. Samples of
  what a route does not have, such as a queue, are missing, too.
- **Bytes** are payload, without headers.

`

const referenceNotes = `
## Notes

The route is empty if no route takes the packet. Names are without ` + "`anyport_`" + ` here.

- ` + "`steering_lookups_total`" + `: its verdicts are those of the kernel: ` + "`steer`" + `, ` + "`refuse`" + `, ` + "`drop`" + `, ` + "`pass`" + `,
  ` + "`deny`" + `, ` + "`inactive`" + `, and ` + "`limit`" + ` (over ` + "`new_conns_per_second`" + ` or ` + "`datagrams_per_second`" + `). With SYN
  cookies the kernel sees a conn twice.
- ` + "`origin_state_changes_total`" + ` has a count for each [state](origins.md#states) that the origin came
  into, and ` + "`up`" + ` for each return. ` + "`origin_connect_errors_total`" + ` counts both
  ` + "`origin_dial_failures_total`" + ` and ` + "`origin_refusals_total`" + `, by the
  [error](origins.md#origins-that-fail), and also errors of this host.
- ` + "`accept_queue_length`" + `, ` + "`accept_queue_overflows_total`" + `: ` + "`listen.tcp_backlog`" + ` is the limit, which
  ` + "`net.core.somaxconn`" + ` limits in turn.
- ` + "`datagrams_total`" + ` has what UDP lost, by reason. ` + "`overflowed`" + `: the receive buffer of a socket was
  full, to the origin the listener's (without a route), to the client that of a socket to an origin.
  ` + "`backlogged`" + `: too many datagrams waited for a flow of their own. ` + "`flow_ended`" + `: an answer to
  a flow that had ended, see [Sockets that are used
  again](../how-to/tuning.md#sockets-that-are-used-again).
- ` + "`source_ports_used`" + `: see [Many conns to one
  origin](../how-to/tuning.md#many-conns-to-one-origin).
- ` + "`fleet_`" + `: these are there only if [fleet] has a source; ` + "`fleet_report_written`" + ` only if that
  is an etcd. See [One table for many hosts](../how-to/fleet.md#watch-it).
- ` + "`config_guarded`" + `, ` + "`config_deaths`" + `: see [When anyport dies again and
  again](../explanation/crashes.md#when-anyport-dies-again-and-again).
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
	page += referenceNotes
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
