package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
)

func TestParseQuestion(t *testing.T) {
	for _, test := range []struct {
		protocol, dst, client string
		refused               string // a part of the reason; "": it is read
	}{
		{"tcp", "192.0.2.7:80", "", ""},
		{"udp", "[2001:db8::7]:53", "198.51.100.9", ""},
		{"", "192.0.2.7:80", "", "protocol must be tcp or udp"},
		{"sctp", "192.0.2.7:80", "", "protocol must be tcp or udp"},
		{"tcp", "192.0.2.7", "", "dst: "},
		{"tcp", "", "", "dst: "},
		{"tcp", "192.0.2.7:80", "me", "client: "},
		{"tcp", "192.0.2.7:80", "198.51.100.9:80", "client: "},
	} {
		query := url.Values{"protocol": {test.protocol}, "dst": {test.dst}, "client": {test.client}}
		q, err := parseQuestion(httptest.NewRequest("GET", "/explain?"+query.Encode(), nil))
		if test.refused != "" {
			if err == nil || !strings.HasPrefix(err.Error(), test.refused) {
				t.Errorf("%v: %v, want %q", query, err, test.refused)
			}
			continue
		}
		if err != nil || q.Protocol.String() != test.protocol || q.Dst.String() != test.dst || q.Client.IsValid() != (test.client != "") {
			t.Errorf("%v: read as %v, %v", query, q, err)
		}
	}
}

// statusJSON is the answer of a process without routes.
const statusJSON = `{"version":"v1","pid":7,"uptime_seconds":0,"stopping":false,` +
	`"privileges":{"user":"","capabilities":null,"no_new_privs":false},"files":0,"files_used":0,` +
	`"file_shares":{"process":0,"reserve":0,"tcp":{"held":0,"own":0,"most":0},"flows":{"held":0,"own":0,"most":0},"replies":{"held":0,"own":0,"most":0}},` +
	`"max_flows":0,"max_flow_sockets":0,"max_flows_per_client":0,"max_flow_sockets_per_client":0,"event_loops":0,"event_loops_stuck":0,"event_loop_loads":null,"new_per_second_peak":0,"local_ports":0,` +
	`"listeners":{"accept_queues":null,"accept_overflows":0,"receive_buffers":null},"log":{"lost_lines":0,"access_lost_lines":0},` +
	`"config":{"path":"","generation":0,"loaded_at":"0001-01-01T00:00:00Z","last_reload_error":"","reloads":null},` +
	`"steering":{"attached":false,"pinned":false,"on_death":"","program_id":0,"foreign_programs":[],"prefixes":0,"generation":0,"missing":[],"routes_restored":0,"fast_path":{"off":"","way":"","devices":null},"unmatched":{}},` +
	`"routes":[],"unrouted":{"ended":null,"datagrams":null},"crash_loop_guard":{"guarded":false,"deaths":0,"lasted_deaths":0,"file":"","serving":"","lasted":"","lasted_with":""},` +
	`"scans":{"reported":0,"skipped":0,"clients":0}}` + "\n"

// TestAnswers asks for each thing: the answer is the JSON that scripts depend on.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		request string
		want    string // the body
		asked   string // what the service was asked
	}{
		{"GET /status", statusJSON, ""},
		{"GET /scans?limit=3", `{"since":"0001-01-01T00:00:00Z","packets":3,"skipped":0,"complete":false,"clients":[{"prefix":"198.51.100.7/32","packets":2,"ports":{"count":1,"exact":true,"listed":["22/tcp"]},"since":"0001-01-01T00:00:00Z","last":"0001-01-01T00:00:00Z"}],"networks":[],"ports":[]}` + "\n", ""},
		{"GET /drift", `{"drift":["one"]}` + "\n", ""},
		{"GET /explain?protocol=tcp&dst=192.0.2.1:80", `{"text":"verdict: steer\n","kernel":["steer"],"file":"the same","pid":7}` + "\n", ""},
		{"POST /drain", `{"draining":true,"conns_active":{"web":3}}` + "\n", "drain  00"},
		{"POST /drain?route=web&undo=1", `{"draining":false,"conns_active":{"web":3}}` + "\n", "drain web 10"},
		{"POST /drain?route=web&wait=1", `{"draining":true,"conns_active":{"web":3}}` + "\n", "drain web 01"},
		{"POST /drain?route=web&undo=true&wait=yes", `{"draining":true,"conns_active":{"web":3}}` + "\n", "drain web 00"},
		{"POST /confirm", `{"path":"a.toml","seconds_left":42}` + "\n", "confirm  00"},
		{"POST /reload", `{"dry_run":false,"path":"a.toml","generation":2,"keys":[],"routes":[]}` + "\n", "reload  00"},
		{"POST /reload?share=0.5", `{"dry_run":false,"path":"a.toml","generation":3,"keys":[],"routes":[],"trial":"begun","share_percent":0.5}` + "\n", "share 0.5 00"},
		{"POST /reload?end=all", `{"dry_run":false,"path":"a.toml","generation":3,"keys":[],"routes":[],"trial":"all"}` + "\n", "end_share  10"},
		{"POST /reload?end=back", `{"dry_run":false,"path":"a.toml","generation":3,"keys":[],"routes":[],"trial":"all"}` + "\n", "end_share  00"},
		{"POST /reload?dry_run=1", `{"dry_run":true,"path":"a.toml","generation":2,"keys":[],"routes":[]}` + "\n", "reload  10"},
		{"POST /upgrade", `{"pid":8,"binary":"","flows":1,"conns":2,"left":3}` + "\n", "upgrade  10"},
		{"POST /upgrade?binary=/bin/new", `{"pid":8,"binary":"/bin/new","flows":1,"conns":2,"left":3}` + "\n", "upgrade /bin/new 10"},
		{"GET /flows?top=1", `{"flows":[{"id":"0000000000001388","protocol":"udp","client":"198.51.100.2:2","dst":"192.0.2.1:80","route":"web","origin":"10.0.0.5:80","state":"naming","age_seconds":1.5,"idle_seconds":0.02,"bytes_to_origin":1000,"bytes_to_client":5000,"path":"kernel"}],"total":3}` + "\n", ""},
		{"POST /kill?client=198.51.100.0/24&protocol=tcp", `{"ended":1,"missing":[]}` + "\n", "kill client=198.51.100.0/24 protocol=tcp 00"},
		{"POST /kill?id=0000000000001388&id=0123456789abcdef", `{"ended":1,"missing":["0123456789abcdef"]}` + "\n", "kill id=0000000000001388,0123456789abcdef 00"},
	} {
		t.Run(test.request, func(t *testing.T) {
			f := &fakeService{asked: make(chan string, 1), conns: someConns()}
			method, target, _ := strings.Cut(test.request, " ")
			answer := asRoot(f, httptest.NewRequest(method, target, nil))
			if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%d, %v", answer.Code, answer.Header())
			}
			if diff := cmp.Diff(test.want, answer.Body.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			asked := ""
			if len(f.asked) > 0 {
				asked = <-f.asked
			}
			if strings.Join(strings.Fields(asked), " ") != strings.Join(strings.Fields(test.asked), " ") {
				t.Errorf("the service was asked %q, want %q", asked, test.asked)
			}
		})
	}
}

// TestRefusals: whatever cannot be answered has a status of its own and a reason in one line, and
// asks the service nothing.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		request string
		body    string
		status  int
		reason  string
	}{
		{"POST /status", "", http.StatusMethodNotAllowed, "Method Not Allowed"},
		{"GET /reload", "", http.StatusMethodNotAllowed, "Method Not Allowed"},
		{"GET /drain?route=web", "", http.StatusMethodNotAllowed, "Method Not Allowed"},
		{"GET /origin?route=web", "", http.StatusMethodNotAllowed, "Method Not Allowed"},
		{"POST /origin?route=web&address=a", "", http.StatusConflict, `weight: "" is not a number from 0 to 65535`},
		{"POST /origin?route=web&address=a&weight=65536", "", http.StatusConflict, "from 0 to 65535"},
		{"GET /upgrade", "", http.StatusMethodNotAllowed, "Method Not Allowed"},
		{"DELETE /flows", "", http.StatusMethodNotAllowed, "Method Not Allowed"},
		{"GET /", "", http.StatusNotFound, "not found"},
		{"POST /stop", "", http.StatusNotFound, "not found"},
		{"GET /status/", "", http.StatusNotFound, "not found"},
		{"GET /metrics", "", http.StatusNotFound, "not found"}, // of admin.http only
		{"POST /reload?share=0", "", http.StatusConflict, `share: "0" is not a percentage between 0 and 100`},
		{"POST /reload?share=100", "", http.StatusConflict, "is not a percentage"},
		{"POST /reload?share=NaN", "", http.StatusConflict, "is not a percentage"},
		{"POST /reload?share=5&end=all", "", http.StatusConflict, "one of share, end=all, end=back and dry_run"},
		{"POST /reload?share=5&dry_run=1", "", http.StatusConflict, "one of share, end=all, end=back and dry_run"},
		{"POST /reload?end=both", "", http.StatusConflict, "one of share, end=all, end=back and dry_run"},
		{"POST /reload", "{}", http.StatusForbidden, "a request has no body"},
		{"GET /status", "{}", http.StatusForbidden, "a request has no body"},
		{"GET /flows?route=web2", "", http.StatusConflict, `no route "web2" is in service`},
		{"GET /flows?top=0", "", http.StatusConflict, "is not a number from 1 to 10000"},
		{"GET /flows?top=-1", "", http.StatusConflict, "is not a number from 1 to 10000"},
		{"GET /flows?top=10001", "", http.StatusConflict, "is not a number from 1 to 10000"},
		{"GET /flows?top=many", "", http.StatusConflict, "is not a number from 1 to 10000"},
		{"GET /flows?sort=size", "", http.StatusConflict, `sort: "size" is not one of age, bytes, idle`},
		{"GET /flows?state=new", "", http.StatusConflict, `state: "new" is not one of naming, `},
		{"GET /flows?client=me", "", http.StatusConflict, `client: "me" is not an address`},
		{"GET /flows?dst=:0", "", http.StatusConflict, `dst: "0" is not a port from 1 to 65535`},
		{"GET /scans?limit=0", "", http.StatusConflict, `limit: "0" is not a number from 1 to 1024`},
		{"GET /scans?limit=many", "", http.StatusConflict, `limit: "many" is not a number from 1 to 1024`},
		{"GET /flows?limit=0", "", http.StatusConflict, "limit: "},
		{"GET /kill?route=web", "", http.StatusMethodNotAllowed, "Method Not Allowed"},
		{"POST /kill", "", http.StatusConflict, "nothing says which conns and flows to end"},
		{"POST /kill?client=", "", http.StatusConflict, "nothing says which conns and flows to end"},
		{"POST /kill?client=198.51.100.0/33", "", http.StatusConflict, "client: "},
		{"GET /explain", "", http.StatusConflict, "protocol must be tcp or udp"},
		{"GET /explain?protocol=tcp&dst=x", "", http.StatusConflict, "dst: "},
		{"POST /upgrade?fd=program", "", http.StatusConflict, "0 file descriptors came and 1 were named"},
	} {
		t.Run(test.request, func(t *testing.T) {
			f := &fakeService{asked: make(chan string, 1), conns: someConns()}
			method, target, _ := strings.Cut(test.request, " ")
			var body io.Reader
			if test.body != "" {
				body = strings.NewReader(test.body)
			}
			answer := asRoot(f, httptest.NewRequest(method, target, body))
			if answer.Code != test.status || !strings.Contains(answer.Body.String(), test.reason) {
				t.Errorf("%d, %q, want %d, %q", answer.Code, answer.Body, test.status, test.reason)
			}
			if len(f.asked) > 0 {
				t.Errorf("the service was asked %q", <-f.asked)
			}
		})
	}
}

// TestServiceRefuses: the reason of a refusal arrives at the client as the service gave it, every
// problem of a file in a line of its own.
func TestServiceRefuses(t *testing.T) {
	problems := config.Problems{
		{File: "a.toml", Line: 3, Column: 1, Key: "log.level", Text: "it is wrong"},
		{File: "a.toml", Line: 9, Column: 2, Key: "log.format", Text: "that, too"},
	}
	f := &fakeService{err: problems}
	client := serveFake(t, f)
	for name, ask := range map[string]func() error{
		"drift":   func() error { _, err := client.Drift(t.Context()); return err },
		"explain": func() error { _, err := client.Explain(t.Context(), question()); return err },
		"drain":   func() error { _, err := client.Drain(t.Context(), admin.DrainOrder{Route: "web"}); return err },
		"origin":  func() error { _, err := client.Origin(t.Context(), admin.OriginOrder{State: "down"}); return err },
		"reload":  func() error { _, err := client.Reload(t.Context(), false, nil); return err },
		"confirm": func() error { _, err := client.Confirm(t.Context()); return err },
		"upgrade": func() error { _, err := client.Upgrade(t.Context(), "", nil); return err },
		"list":    func() error { _, err := client.FlowList(t.Context(), admin.FlowQuery{Limit: 1}); return err },
		"kill":    func() error { _, err := client.Kill(t.Context(), admin.FlowFilter{Route: "web"}); return err },
		"flows": func() error {
			_, err := client.Flows(t.Context(), admin.FlowQuery{}, func(admin.Flow) error { return errors.New("a flow came") })
			return err
		},
	} {
		err := ask()
		if err == nil || err.Error() != strings.TrimSpace(config.Detail(problems)) || !strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v", name, err, problems)
		}
	}
}

func question() admin.Question {
	return admin.Question{Protocol: config.UDP, Dst: netip.MustParseAddrPort("[2001:db8::1]:53"), Client: netip.MustParseAddr("198.51.100.9")}
}

// TestClientAndServer: what the client asks arrives, and what the service answers comes back.
func TestClientAndServer(t *testing.T) {
	f := &fakeService{conns: someConns(), asked: make(chan string, 9)}
	client := serveFake(t, f)
	status, err := client.Status(t.Context())
	if err != nil || status.PID != 7 {
		t.Errorf("status: %+v, %v", status, err)
	}
	if _, err := client.Explain(t.Context(), question()); err != nil || f.question != question() {
		t.Errorf("explain: asked %v, %v", f.question, err)
	}
	drained, err := client.Drain(t.Context(), admin.DrainOrder{Route: "web", Undo: true, Wait: true, Force: true})
	if asked := <-f.asked; err != nil || asked != "drain --force web 11" || drained.Draining || drained.Total() != 3 {
		t.Errorf("drain: %q, %+v, %v", asked, drained, err)
	}
	origin, err := client.Origin(t.Context(), admin.OriginOrder{Route: "web", Address: "[2001:db8::5]:80", Weight: 3})
	if asked := <-f.asked; err != nil || asked != "origin [2001:db8::5]:80 web 01" || origin.Weight != 3 {
		t.Errorf("origin: %q, %+v, %v", asked, origin, err)
	}
	origin, err = client.Origin(t.Context(), admin.OriginOrder{Route: "web", Address: "a", State: "drain"})
	if asked := <-f.asked; err != nil || asked != "origin a web 10" || origin.Forced != "drain" {
		t.Errorf("origin: %q, %+v, %v", asked, origin, err)
	}
	reloaded, err := client.Reload(t.Context(), true, nil)
	if asked := <-f.asked; err != nil || asked != "reload  10" || !reloaded.DryRun {
		t.Errorf("reload: %q, %+v, %v", asked, reloaded, err)
	}
	var clients []string
	if _, err := client.Flows(t.Context(), admin.FlowQuery{FlowFilter: admin.FlowFilter{Route: "web"}}, func(f admin.Flow) error { clients = append(clients, f.Client); return nil }); err != nil {
		t.Error(err)
	}
	if want := []string{"198.51.100.1:1", "198.51.100.2:2", "[2001:db8::9]:3"}; !slices.Equal(clients, want) {
		t.Errorf("flows of %v, want %v", clients, want)
	}
	top, err := client.FlowList(t.Context(), admin.FlowQuery{Sort: "bytes", Limit: 2})
	if err != nil || len(top.Flows) != 2 || top.Flows[0].Client != "198.51.100.2:2" || top.Flows[1].Client != "[2001:db8::9]:3" {
		t.Errorf("top: %+v, %v", top, err)
	}
}

// TestUpgradeFiles: the service gets the file descriptors that root sends, and they are closed after
// its answer.
func TestUpgradeFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may send file descriptors")
	}
	f := &fakeService{asked: make(chan string, 1)}
	client := serveFake(t, f)
	fd, err := unix.MemfdCreate("spare", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	before := openFiles(t)
	if _, err := client.Upgrade(t.Context(), "/bin/new", map[string]int{"spare/program": fd, "spare/map": fd}); err != nil {
		t.Fatal(err)
	}
	if asked := <-f.asked; asked != "upgrade /bin/new 11" {
		t.Errorf("asked %q", asked)
	}
	if len(f.files) != 2 || f.files["spare/map"] == f.files["spare/program"] {
		t.Errorf("got %v, want two of their own", f.files)
	}
	for deadline := time.Now().Add(time.Minute); openFiles(t) > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d files are open, %d before", openFiles(t), before)
		}
	}
}

// TestClientLeaves: an order whose client has gone is cancelled, so that nothing waits for ever.
func TestClientLeaves(t *testing.T) {
	f := &fakeService{asked: make(chan string, 1), hold: make(chan struct{})}
	client := serveFake(t, f)
	conn, err := net.Dial("unix", client.Socket)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST /drain?wait=1 HTTP/1.1\r\nHost: x\r\n\r\n")
	<-f.asked
	conn.Close()
	// The cleanup of serveFake waits for the answer, and fails the test if there is none in time.
	if _, err := client.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestStopAnswers: stop waits for a request that is being answered, and the client gets the answer.
func TestStopAnswers(t *testing.T) {
	f := &fakeService{asked: make(chan string, 1), hold: make(chan struct{})}
	path := t.TempDir() + "/admin.sock"
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stop := New(f, quiet(), nil).ServeSocket(listener, NoGroup, make(chan error, 1))
	answered := make(chan error, 1)
	go func() { // ended by its answer
		_, err := admin.Client{Socket: path}.Reload(t.Context(), false, nil)
		answered <- err
	}()
	<-f.asked
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }() // ended by the answer
	for {                                  // the listener is closed first
		conn, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		conn.Close()
		time.Sleep(time.Millisecond)
	}
	close(f.hold)
	<-stopped
	if err := <-answered; err != nil {
		t.Errorf("the request that was under way: %v", err)
	}
}

// TestLeft: each answer about conns says how many it does not know of.
func TestLeft(t *testing.T) {
	const left = `"left":[{"pid":7,"conns_active":3}]`
	for _, request := range []string{"GET /flows", "GET /flows?limit=1", "GET /flows?top=1", "POST /kill?client=198.51.100.0/24"} {
		f := &fakeService{asked: make(chan string, 1), conns: someConns(), left: []admin.Left{{PID: 7, ConnsActive: 3}}}
		method, target, _ := strings.Cut(request, " ")
		if answer := asRoot(f, httptest.NewRequest(method, target, nil)).Body.String(); !strings.Contains(answer, left) || !json.Valid([]byte(answer)) {
			t.Errorf("%s: %s", request, answer)
		}
	}
}
