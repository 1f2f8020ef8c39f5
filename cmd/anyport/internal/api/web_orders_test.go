package api

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestWebOrders: over HTTP an order needs the key of the file and the header, and comes from no page of
// another server. A body is refused.
func TestWebOrders(t *testing.T) {
	ours := map[string]string{writeHeader: "1"}
	with := func(more ...string) map[string]string {
		all := map[string]string{writeHeader: "1"}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	for name, test := range map[string]struct {
		request string
		writes  bool
		host    string // "": localhost:9765
		headers map[string]string
		body    string
		status  int
		text    string // a part of the answer
		asked   string // what the service was asked; "": nothing
	}{
		"an order":                   {request: "POST /api/drain?route=web", writes: true, headers: ours, status: 200, text: `"draining":true`, asked: "drain web 00"},
		"a kill":                     {request: "POST /api/kill?route=web", writes: true, headers: ours, status: 200, text: `"ended":0`, asked: "kill route=web 00"},
		"from a page of ours":        {request: "POST /api/reload", writes: true, headers: with("Origin", "http://localhost:9765", "Sec-Fetch-Site", "same-origin"), status: 200, text: `"generation":2`, asked: "reload  00"},
		"not allowed":                {request: "POST /api/drain?route=web", headers: ours, status: 403, text: "admin.http_writes = true"},
		"a dry run is an order":      {request: "POST /api/reload?dry_run=1", headers: ours, status: 403, text: "admin.http_writes = true"},
		"a form":                     {request: "POST /api/drain?route=web", writes: true, status: 403, text: `"Anyport-Write: 1"`},
		"another value":              {request: "POST /api/drain", writes: true, headers: map[string]string{writeHeader: "0"}, status: 403, text: `"Anyport-Write: 1"`},
		"from a page of another":     {request: "POST /api/drain", writes: true, headers: with("Origin", "http://evil.example"), status: 403, text: "Origin header"},
		"from a page without origin": {request: "POST /api/drain", writes: true, headers: with("Origin", "null"), status: 403, text: "Origin header"},
		"cross-site":                 {request: "POST /api/drain", writes: true, headers: with("Sec-Fetch-Site", "cross-site"), status: 403, text: "Sec-Fetch-Site"},
		"same site":                  {request: "POST /api/drain", writes: true, headers: with("Sec-Fetch-Site", "same-site"), status: 403, text: "Sec-Fetch-Site"},
		"a name of another":          {request: "POST /api/drain", writes: true, host: "evil.example:9765", headers: ours, status: 403, text: "Host header"},
		"a body":                     {request: "POST /api/drain", writes: true, headers: ours, body: "route=web", status: 413, text: "a request has no body"},
		"a body of a question":       {request: "GET /api/status", body: "x", status: 413, text: "a request has no body"},
		"an upgrade":                 {request: "POST /api/upgrade", writes: true, headers: ours, status: 404, text: "not found"},
		"by another verb":            {request: "GET /api/drain?route=web", writes: true, headers: ours, status: 405, text: "Method Not Allowed"},
		"may a page ask":             {request: "OPTIONS /api/drain", writes: true, headers: map[string]string{"Access-Control-Request-Headers": writeHeader}, status: 405, text: "Method Not Allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeService{asked: make(chan string, 1), writes: test.writes}
			var log bytes.Buffer
			method, target, _ := strings.Cut(test.request, " ")
			request := httptest.NewRequest(method, target, strings.NewReader(test.body))
			if request.Host = "localhost:9765"; test.host != "" {
				request.Host = test.host
			}
			for key, value := range test.headers {
				request.Header.Set(key, value)
			}
			answer := httptest.NewRecorder()
			New(f, slog.New(slog.NewTextHandler(&log, nil)), nil).webHandler().ServeHTTP(answer, request)
			if answer.Code != test.status || !strings.Contains(answer.Body.String(), test.text) {
				t.Errorf("%d %s, want %d %q", answer.Code, answer.Body, test.status, test.text)
			}
			if answer.Header().Get("Access-Control-Allow-Origin") != "" || answer.Header().Get("Access-Control-Allow-Headers") != "" {
				t.Errorf("pages of other servers are let in: %v", answer.Header())
			}
			asked := ""
			if len(f.asked) > 0 {
				asked = <-f.asked
			}
			if asked != test.asked {
				t.Errorf("the service was asked %q, want %q", asked, test.asked)
			}
			if logged := strings.Contains(log.String(), `msg="took an order" order=`) && strings.Contains(log.String(), "client=192.0.2.1:1234"); logged != (test.asked != "") {
				t.Errorf("the log has %q", &log)
			}
		})
	}
}

// TestOrdersAreLogged: the log has each order on the socket with who gave it, and why it was refused, and no
// question.
func TestOrdersAreLogged(t *testing.T) {
	for request, want := range map[string]string{
		"POST /drain?route=web":                                 `msg="took an order" order="POST /drain?route=web" uid=%d gid=%d pid=%d`,
		"POST /origin?weight=x":                                 `msg="refused an order" order="POST /origin?weight=x" because="weight: `,
		"POST /kill?route=" + strings.Repeat("x", 3*mostLogged): `xxx…" uid=%d gid=%d pid=%d`,
		"GET /status":                                           "",
		"GET /flows?route=web":                                  "",
	} {
		var log bytes.Buffer
		a := New(&fakeService{}, slog.New(slog.NewTextHandler(&log, nil)), nil)
		method, target, _ := strings.Cut(request, " ")
		who := peer{uid: 999, owner: 999, gid: 77, pid: 4711}
		a.socketHandler().ServeHTTP(httptest.NewRecorder(), asPeer(who, httptest.NewRequest(method, target, nil)))
		if strings.Contains(want, "%d") {
			want = fmt.Sprintf(want, who.uid, who.gid, who.pid)
		}
		if !strings.Contains(log.String(), want) || want == "" && log.Len() > 0 {
			t.Errorf("%.40s: the log has\n%s, want %q", request, &log, want)
		}
	}
}

// TestCostlyQuestions: while one that takes long is answered over HTTP, another one is refused, and cheap
// ones are answered.
func TestCostlyQuestions(t *testing.T) {
	a := New(&fakeService{}, quiet(), nil)
	handler := a.webHandler()
	ask := func(path string) int {
		request := httptest.NewRequest("GET", path, nil)
		request.Host = "localhost"
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		return answer.Code
	}
	const explain = "/api/explain?protocol=tcp&dst=192.0.2.1:80"
	a.costly.Lock()
	for path, want := range map[string]int{"/api/drift": 429, explain: 429, "/api/status": 200, "/readyz": 200} {
		if got := ask(path); got != want {
			t.Errorf("%s beside another one: %d, want %d", path, got, want)
		}
	}
	a.costly.Unlock()
	for _, path := range []string{"/api/drift", explain, "/api/drift"} {
		if got := ask(path); got != 200 {
			t.Errorf("%s: %d", path, got)
		}
	}
}

// TestWebUnderAttack: conns that send their header byte by byte, or a body without end, take places from
// each other and not from a client at another address.
func TestWebUnderAttack(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer New(&fakeService{}, quiet(), nil).ServeWeb(listener, make(chan error, 1))()
	address := listener.Addr().String()
	for i := range 2 * mostConns {
		slow := dialFrom(t, "127.0.0.1", address)
		defer slow.Close()
		if i%2 == 0 {
			fmt.Fprint(slow, "GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
		} else {
			fmt.Fprint(slow, "POST /api/drain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
		}
	}
	conn := dialFrom(t, "127.0.0.2", address)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprint(conn, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("beside slow conns: %q, %v", answer, err)
	}
	big := dialFrom(t, "127.0.0.3", address)
	defer big.Close()
	big.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(big, "POST /api/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", 1<<40)
	if answer, err := io.ReadAll(big); !strings.HasPrefix(string(answer), "HTTP/1.1 413 ") {
		t.Errorf("a body of 1 TiB: %q, %v", answer, err)
	}
}

// TestProbes: a condition that has failed is named, with the status that says so.
func TestProbes(t *testing.T) {
	for notReady, want := range map[string]string{
		"":                       `200 {"ok":true,"conditions":[{"name":"steering"},{"name":"draining"}]}`,
		"all routes are drained": `503 {"ok":false,"conditions":[{"name":"steering"},{"name":"draining","failed":"all routes are drained"}]}`,
	} {
		f := &fakeService{notReady: notReady}
		web := httptest.NewRequest("GET", "/readyz", nil)
		web.Host = "127.0.0.1"
		overHTTP := httptest.NewRecorder()
		New(f, quiet(), nil).webHandler().ServeHTTP(overHTTP, web)
		for where, answer := range map[string]*httptest.ResponseRecorder{"HTTP": overHTTP, "the socket": asRoot(f, httptest.NewRequest("GET", "/readyz", nil))} {
			if got := fmt.Sprintf("%d %s", answer.Code, strings.TrimSpace(answer.Body.String())); got != want || answer.Header().Get("Connection") != "close" || answer.Header().Get("Content-Type") != "application/json" {
				t.Errorf("over %s: %s, %v, want %s", where, got, answer.Header(), want)
			}
		}
		if answer := asRoot(f, httptest.NewRequest("GET", "/livez", nil)); answer.Code != http.StatusOK {
			t.Errorf("livez: %d", answer.Code)
		}
	}
}
