package docs

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"
)

const (
	howTo     = "how-to/metrics.md"
	reference = "reference/metrics.md"
	alerts    = "deploy/prometheus/alerts.yml"
	dashboard = "deploy/grafana/anyport.json"
)

// alertFile is the part of a file of rules that the tests look at.
type alertFile struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr string
			Annotations map[string]string
		}
	}
}

// TestRunbooks: each alert says what to do about it, in a section of its own, and each section has an
// alert.
func TestRunbooks(t *testing.T) {
	sections := map[string]bool{}
	for _, l := range prose(t, howTo) {
		if name, ok := strings.CutPrefix(l.text, "### "); ok {
			sections[name] = true
		}
	}
	for _, rule := range readAlerts(t).Groups[0].Rules {
		want := "docs/" + howTo + "#" + strings.ToLower(rule.Alert)
		if !sections[rule.Alert] || rule.Annotations["runbook"] != want {
			t.Errorf("%s: its runbook is %q, want %q and a section", rule.Alert, rule.Annotations["runbook"], want)
		}
		delete(sections, rule.Alert)
	}
	if len(sections) > 0 {
		t.Errorf("%s has no alert for %q", alerts, slices.Collect(maps.Keys(sections)))
	}
}

func readAlerts(t *testing.T) (file alertFile) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, alerts))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatalf("%s: %v", alerts, err)
	}
	return file
}

var metricName = regexp.MustCompile(`\banyport_[a-z0-9_]+`)

// TestMetricsExist: dashboard, alerts and documents name only metrics that there are, and the dashboard
// shows every one that is not only for alerts.
func TestMetricsExist(t *testing.T) {
	known := map[string]bool{}
	for _, l := range prose(t, reference) {
		if l.isRow() && strings.HasPrefix(l.cells()[0], "anyport_") {
			known[l.cells()[0]] = true
		}
	}
	if len(known) < 40 {
		t.Fatalf("%s has %d metrics", reference, len(known))
	}
	shown := map[string]bool{}
	for file, text := range textsWithMetrics(t) {
		for _, name := range metricName.FindAllString(text, -1) {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base, ok := strings.CutSuffix(name, suffix); ok && known[base] {
					name = base
				}
			}
			if !known[name] {
				t.Errorf("%s: there is no %s", file, name)
			}
			if file == dashboard {
				shown[name] = true
			}
		}
	}
	for name := range known {
		if !shown[name] && !slices.Contains(notShown, name) && !strings.HasPrefix(name, "anyport_go_") && !strings.HasPrefix(name, "anyport_process_") {
			t.Errorf("%s does not show %s", dashboard, name)
		}
	}
}

// notShown are metrics that the dashboard has no panel for.
var notShown = []string{"anyport_stopping", "anyport_files_usable", "anyport_origin_check_passed"}

// textsWithMetrics are the dashboard's queries, the alerts and the how-to, by their paths.
func textsWithMetrics(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, path := range []string{alerts, dashboard, "docs/" + howTo} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	return texts
}

// TestDashboard: panels have ids and places of their own, and queries of the chosen instances and data
// source only.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, dashboard))
	if err != nil {
		t.Fatal(err)
	}
	type place struct{ X, Y, W, H int }
	var d struct {
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     place
			Datasource  *struct{ UID string }
			Targets     []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%q has the id of another panel", p.Title)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other := taken[at]; other != "" || at[0] >= 24 {
					t.Fatalf("%q is where %q is, or beyond the edge", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource == nil || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%q has no query of the chosen data source", p.Title)
		}
		for _, target := range p.Targets {
			if strings.Count(target.Expr, "{") != strings.Count(target.Expr, `instance=~"$instance"`) {
				t.Errorf("%q asks for all instances: %s", p.Title, target.Expr)
			}
		}
	}
}

// TestYAMLBlocks: each yaml block is YAML, and promtool accepts what is of Prometheus in it.
func TestYAMLBlocks(t *testing.T) {
	found := map[string]int{}
	for _, path := range documents(t) {
		for _, b := range yamlBlocks(t, path) {
			found[b.kind]++
			var parsed map[string]any
			if err := yaml.Unmarshal([]byte(b.text), &parsed); err != nil {
				t.Errorf("%s: %v\n%s", path, err, b.text)
				continue
			}
			switch b.kind {
			case "prometheus":
				checkPrometheus(t, b.text)
			case "collector":
				checkCollector(t, b.text)
			default:
				t.Errorf("%s: what is a yaml block %q of?", path, b.kind)
			}
		}
	}
	if found["prometheus"] == 0 || found["collector"] == 0 {
		t.Errorf("the blocks are %v", found)
	}
}

// yamlBlock is a fenced block "yaml KIND".
type yamlBlock struct{ kind, text string }

var yamlFence = regexp.MustCompile("(?ms)^```yaml ?([^\n]*)\n(.*?)^```")

func yamlBlocks(t *testing.T, path string) (blocks []yamlBlock) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range yamlFence.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, yamlBlock{m[1], m[2]})
	}
	return blocks
}

// checkCollector checks that each pipeline of an OpenTelemetry collector is of parts that are there, and
// that its Prometheus receiver has a config of Prometheus.
func checkCollector(t *testing.T, text string) {
	t.Helper()
	var c struct {
		Receivers  map[string]struct{ Config map[string]any }
		Processors map[string]any
		Exporters  map[string]any
		Service    struct {
			Pipelines map[string]struct{ Receivers, Processors, Exporters []string }
		}
	}
	if err := yaml.UnmarshalStrict([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	p := c.Service.Pipelines["metrics"]
	if len(p.Receivers) == 0 || len(p.Exporters) == 0 {
		t.Fatalf("the pipeline is %+v", p)
	}
	for _, name := range p.Receivers {
		if _, ok := c.Receivers[name]; !ok {
			t.Errorf("there is no receiver %s", name)
		}
	}
	for _, name := range p.Processors {
		if _, ok := c.Processors[name]; !ok {
			t.Errorf("there is no processor %s", name)
		}
	}
	for _, name := range p.Exporters {
		if _, ok := c.Exporters[name]; !ok {
			t.Errorf("there is no exporter %s", name)
		}
	}
	inner, err := yaml.Marshal(c.Receivers["prometheus"].Config)
	if err != nil {
		t.Fatal(err)
	}
	checkPrometheus(t, string(inner))
}

var promqlFence = regexp.MustCompile("(?ms)^```promql\n(.*?)^```")

// TestPromQL: promtool can parse each expression of the documents, as the expression of a rule.
func TestPromQL(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool here")
	}
	var rules []map[string]string
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range promqlFence.FindAllStringSubmatch(string(text), -1) {
			for _, expr := range strings.Split(m[1], "\n\n") {
				rules = append(rules, map[string]string{"record": "r" + strconv.Itoa(len(rules)), "expr": expr})
			}
		}
	}
	file, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "documents", "rules": rules}}})
	if err != nil || len(rules) == 0 {
		t.Fatal(err, rules)
	}
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// checkPrometheus has promtool judge a config of Prometheus.
func checkPrometheus(t *testing.T, text string) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool here")
	}
	path := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "config", "--syntax-only", path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, text)
	}
}
