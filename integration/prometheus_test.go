package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scrapedFile has what every panel of the dashboard shows.
const scrapedFile = `[health.ping]
type     = "tcp"
interval = "1s"
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
ports    = [80]
origins  = [{ address = "10.0.0.5:4001", max_conns = 100000 }]
health   = "ping"
queue    = 10
source   = ["10.0.0.1"]
route_bandwidth = "100MiB/s"
[route.closed]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [81]
origins  = ["10.0.0.5:4002"]
active   = ["Mon..Sun"]
[route.local]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [84]
action   = "socket"
service  = "pidfile:/run/no-such-service.pid"
[route.named]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [82]
origins  = ["app.example:4001"]
[route.user]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
ports    = [85]
origins  = ["10.0.0.5:4001"]
fast_path = "off"
[route.silent]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
ports    = [83]
origins  = ["10.0.0.5:4003"]
[route.again]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [85]
origins  = ["10.0.0.5:4002", "10.0.0.5:4001"]
balance  = "first"
slow_start = "1h"
[route.few]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [86]
origins  = [{ address = "10.0.0.5:4001", max_conns = 1 }]
queue    = 10
`

const prometheusFile = `
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [RULES]
scrape_configs:
  - job_name: anyport
    static_configs: [{ targets: ["127.0.0.1:9765"] }]
`

// prometheusServer is a Prometheus on the host of an anyport, which it scrapes.
type prometheusServer struct {
	*process
	host *host
}

// TestPrometheus has a Prometheus scrape anyport: promtool finds nothing to say about the metrics, each
// panel of the dashboard has data, each rule can be evaluated, and an origin that is down raises an alert.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4001", echo)
	r.origin.answer(t, "10.0.0.5:4001", func(datagram []byte) []byte { return datagram })
	hosts := inFile(t, "10.0.0.5 app.example\n")
	if err := r.edge.Bind(hosts, "/etc/hosts"); err != nil {
		t.Fatal(err)
	}
	etcd := r.edge.startEtcd(t, "127.0.0.1")
	p := r.edge.serveWith(t, "http = \"127.0.0.1:9765\"\n"+"[announce]\ntable = 179\n"+etcd.hostFile("edge1")+fmt.Sprintf("peers = [\"10.0.0.9\"]\ndevice = \"origin0\"\nkey = %q\n", newPeerKey(t)))
	etcd.push(t, scrapedFile)
	p.expect(t, "table taken from the source")
	s := r.edge.startPrometheus(t)
	visit(t, r)
	eventually(t, "the scrape succeeds", func() bool { return s.value(t, `up{job="anyport"}`) == "1" })
	_, text := r.edge.fetch(t, http.MethodGet, "/metrics")
	checkMetrics(t, text)

	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	for _, order := range []string{"down named", "ready named", "down again", "ready again"} {
		p.must(t, "origin "+order+"/10.0.0.5:4001")
	}
	p.reloadIs(t, 0, "serves 50% of the clients", "--share", "50%")
	talk(t, r.client.dial(t, "tcp", "192.0.2.7:85"), "hello") // the first dial is refused
	first := r.client.dial(t, "tcp", "192.0.2.7:86")
	talk(t, first, "hello")
	second := r.client.dial(t, "tcp", "192.0.2.7:86")
	eventually(t, "a conn waits", func() bool { w := p.status(t).route(t, "few").QueueWaiting; return w != nil && *w == 1 })
	first.Close()
	talk(t, second, "hello")
	lost := r.client.dial(t, "udp", "192.0.2.7:83") // the origin answers with an ICMP error
	user := r.client.dial(t, "udp", "192.0.2.7:85")
	for range 20 { // until the kernel would forward the flow
		trade(t, user, "again")
	}
	exprs := dashboardExprs(t)
	defer func() {
		if len(exprs) > 0 {
			t.Logf("there is no data for %q", exprs)
		}
	}()
	eventually(t, "all panels have data", func() bool {
		visit(t, r)
		_, _ = lost.Write([]byte("hello")) // fails after the error
		for title, expr := range exprs {
			if s.value(t, expr) != "" {
				delete(exprs, title)
			}
		}
		return len(exprs) == 0
	})
	if got := anyport(t, "origin", "down", "web/10.0.0.5:4001", "--socket", p.socket); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	eventually(t, "an alert is raised", func() bool {
		return s.value(t, `ALERTS{alertname="AnyportNoOriginUp",route="web"}`) == "1" && s.value(t, `ALERTS{alertname="AnyportOriginDown",origin="10.0.0.5:4001"}`) == "1"
	})
	for _, rule := range s.rules(t) {
		if rule.Health != "ok" {
			t.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError)
		}
	}
}

// startPrometheus starts one with the alerts that are shipped. It ends with the test.
func (h *host) startPrometheus(t *testing.T) *prometheusServer {
	t.Helper()
	path := needTool(t, "prometheus")
	rules, err := filepath.Abs("../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	file := inFile(t, strings.ReplaceAll(prometheusFile, "RULES", rules))
	s := &prometheusServer{host: h, process: h.spawn(t, exec.Command(path, "--config.file", file, "--storage.tsdb.path", t.TempDir(),
		"--web.listen-address", "127.0.0.1:9090", "--log.level", "warn"))}
	eventually(t, "Prometheus is ready", func() bool {
		if !s.alive() {
			t.Fatal("Prometheus has ended")
		}
		conn, err := h.tryDial("tcp", "", "127.0.0.1:9090")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return s
}

// value is the first value of an instant query; "" if there is none.
func (s *prometheusServer) value(t *testing.T, expr string) string {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	s.ask(t, "/api/v1/query?query="+url.QueryEscape(expr), &answer)
	if answer.Status != "" && answer.Status != "success" {
		t.Fatalf("%s: %s", expr, answer.Error)
	}
	if len(answer.Data.Result) == 0 {
		return ""
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1])
}

// scrapedRule is one alert as Prometheus has evaluated it.
type scrapedRule struct{ Name, Health, LastError string }

func (s *prometheusServer) rules(t *testing.T) []scrapedRule {
	t.Helper()
	var answer struct {
		Data struct {
			Groups []struct{ Rules []scrapedRule }
		}
	}
	s.ask(t, "/api/v1/rules", &answer)
	if len(answer.Data.Groups) != 1 || len(answer.Data.Groups[0].Rules) < 10 {
		t.Fatalf("the rules are %+v", answer)
	}
	return answer.Data.Groups[0].Rules
}

// ask leaves answer as it is while Prometheus is not ready.
func (s *prometheusServer) ask(t *testing.T, path string, answer any) {
	t.Helper()
	_, text := s.host.fetchFrom(t, "127.0.0.1:9090", http.MethodGet, path)
	if err := json.Unmarshal([]byte(text), answer); err != nil && !strings.Contains(text, "Unavailable") {
		t.Fatalf("%s: %v: %s", path, err, text)
	}
}

// checkMetrics has promtool judge a scrape.
func checkMetrics(t *testing.T, text string) {
	t.Helper()
	check := exec.Command(needTool(t, "promtool"), "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// dashboardExprs returns the queries of the dashboard, by the title of the panel, for all instances and
// routes.
func dashboardExprs(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../deploy/grafana/anyport.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$instance", ".*", "$route", ".*", "$__rate_interval", "1m")
	exprs := map[string]string{}
	for _, a := range dashboard.Annotations.List {
		exprs[a.Name] = variables.Replace(a.Expr)
	}
	for _, p := range dashboard.Panels {
		for i, target := range p.Targets {
			exprs[fmt.Sprint(p.Title, " ", i)] = variables.Replace(target.Expr)
		}
	}
	if len(exprs) < 40 {
		t.Fatalf("the dashboard has %d queries", len(exprs))
	}
	return exprs
}

// TestAlerts has promtool run the tests of the alerts.
func TestAlerts(t *testing.T) {
	t.Parallel()
	test := exec.Command(needTool(t, "promtool"), "test", "rules", "alerts_test.yml")
	test.Dir = "../deploy/prometheus"
	if out, err := test.CombinedOutput(); err != nil || !strings.Contains(string(out), "SUCCESS") {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}
