package integration

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// TestMetrics checks that admin.http serves what Prometheus expects, and the status,
// and that it accepts no commands.
func TestMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	p := r.edge.serveWith(t, "http = \"127.0.0.1:9765\"\n"+relayFile) // the harness begins with [admin]
	conn := r.client.dial(t, "tcp", dstV4+":4711")
	talk(t, conn, "hello")

	answer, text := r.edge.fetch(t, http.MethodGet, "/metrics")
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "anyport_") {
			t.Errorf("%q is not a name of ours", line)
		}
	}
	name := p.status(t).Routes[0].Name
	for _, want := range []string{
		`anyport_connections_active{protocol="tcp",route="` + name + `"} 1`,
		`anyport_steering_lookups_total{route="` + name + `",verdict="steer"} `,
		`anyport_origin_connect_seconds_count{route="` + name + `"} 1`,
		"anyport_config_generation 1",
		"anyport_config_last_reload_successful 1",
		"anyport_steering_attached 1",
		"anyport_build_info{",
		"anyport_process_open_fds ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}

	answer, text = r.edge.fetch(t, http.MethodGet, "/api/status")
	var s status
	if err := json.Unmarshal([]byte(text), &s); err != nil || answer.StatusCode != http.StatusOK || s.PID != p.cmd.Process.Pid {
		t.Errorf("the status is %s: %s, %v", answer.Status, text, err)
	}
	answer, text = r.edge.fetch(t, http.MethodGet, "/")
	if answer.StatusCode != http.StatusOK || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") || !strings.Contains(text, "<title>anyport</title>") {
		t.Errorf("the dashboard is %s: %s", answer.Status, text)
	}
	if answer, _ := r.edge.fetch(t, http.MethodGet, "/else"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("another page: %s", answer.Status)
	}
	for _, order := range []string{"/reload", "/drain", "/api/status"} {
		if answer, _ := r.edge.fetch(t, http.MethodPost, order); answer.StatusCode < 400 {
			t.Errorf("POST %s: %s", order, answer.Status)
		}
	}
	p.write(t, "http = \"127.0.0.1:9766\"\n"+relayFile)
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "admin.http") {
		t.Errorf("reload: %+v", got)
	}
}

// fetch asks the admin.http of this host.
func (h *host) fetch(t *testing.T, method, path string) (*http.Response, string) {
	t.Helper()
	return h.fetchFrom(t, "127.0.0.1:9765", method, path)
}

// fetchFrom asks an HTTP server on this host.
func (h *host) fetchFrom(t *testing.T, server, method, path string) (*http.Response, string) {
	t.Helper()
	conn := h.dial(t, "tcp", server)
	defer conn.Close()
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	request, err := http.NewRequest(method, "http://"+server+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// TestMetricsAcrossUpgrade checks that the new process answers at the same address,
// also when neither process is root any more.
func TestMetricsAcrossUpgrade(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	run := func(file string) *exec.Cmd { give(t, file, "65534"); give(t, program, ""); return anyportRun(file) }
	p := r.edge.launchAs(t, run, "http = \"127.0.0.1:9765\"\n[steering]\nuser = \"65534\"\n"+relayFile)
	p.expect(t, "msg=serving")
	f := newFamily(t, p)
	for range 2 {
		f.upgrade(t)
		var s status
		eventually(t, "the new process answers", func() bool {
			_, text := r.edge.fetch(t, http.MethodGet, "/api/status")
			return json.Unmarshal([]byte(text), &s) == nil && s.PID == f.pids[len(f.pids)-1]
		})
	}
}
