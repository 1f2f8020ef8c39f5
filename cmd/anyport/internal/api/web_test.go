package api

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/proxy/route"
)

// TestWeb: admin.http shows the dashboard, the status, the flows and the metrics, and changes
// nothing, whoever asks.
func TestWeb(t *testing.T) {
	f := &fakeService{conns: someConns(), hosts: []string{"edge.example.com"}, asked: make(chan string, 9)}
	handler := New(f, quiet(), nil).webHandler()
	for _, test := range []struct {
		request, host string
		status        int
		kind, body    string // the media type, and a part of the body
	}{
		{"GET /", "127.0.0.1:9765", http.StatusOK, "text/html; charset=utf-8", "<html"},
		{"GET /", "edge.example.com", http.StatusOK, "text/html; charset=utf-8", "<html"},
		{"GET /api/status", "localhost", http.StatusOK, "application/json", `"pid":7`},
		{"GET /api/flows?top=1", "localhost", http.StatusOK, "application/json", `"client":"198.51.100.2:2"`},
		{"GET /api/flows?route=gone", "localhost", http.StatusConflict, "text/plain; charset=utf-8", `no route "gone"`},
		{"GET /metrics", "localhost", http.StatusOK, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "anyport_build_info{"},
		{"GET /metrics", "localhost", http.StatusOK, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "anyport_process_open_fds "},
		{"GET /api/status", "evil.example.com", http.StatusForbidden, "text/plain; charset=utf-8", "Host header"},
		{"GET /metrics", "evil.example.com", http.StatusForbidden, "text/plain; charset=utf-8", "Host header"},
		{"GET /status", "localhost", http.StatusNotFound, "text/plain; charset=utf-8", "not found"},
		{"GET /api/reload", "localhost", http.StatusMethodNotAllowed, "text/plain; charset=utf-8", "Method Not Allowed"},
		{"POST /api/reload", "localhost", http.StatusForbidden, "text/plain; charset=utf-8", "admin.http_writes = true"},
		{"POST /api/upgrade", "localhost", http.StatusNotFound, "text/plain; charset=utf-8", "not found"},
		{"GET /api/drift", "localhost", http.StatusOK, "application/json", `{"drift":["one"]}`},
		{"GET /livez", "localhost", http.StatusOK, "application/json", `{"ok":true,"conditions":[{"name":"event_loops"}]}`},
		{"GET /readyz", "localhost", http.StatusOK, "application/json", `{"ok":true,`},
		{"GET /readyz", "evil.example.com", http.StatusForbidden, "text/plain; charset=utf-8", "Host header"},
		{"POST /reload", "localhost", http.StatusNotFound, "text/plain; charset=utf-8", "not found"},
		{"POST /drain", "localhost", http.StatusNotFound, "text/plain; charset=utf-8", "not found"},
		{"POST /", "localhost", http.StatusMethodNotAllowed, "text/plain; charset=utf-8", "Method Not Allowed"},
		{"POST /api/status", "localhost", http.StatusMethodNotAllowed, "text/plain; charset=utf-8", "Method Not Allowed"},
	} {
		t.Run(test.request+" at "+test.host, func(t *testing.T) {
			method, target, _ := strings.Cut(test.request, " ")
			request := httptest.NewRequest(method, target, nil)
			request.Host = test.host
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != test.status || answer.Header().Get("Content-Type") != test.kind || !strings.Contains(answer.Body.String(), test.body) {
				t.Errorf("%d, %q, want %d, %q\n%.300s", answer.Code, answer.Header().Get("Content-Type"), test.status, test.kind, answer.Body)
			}
		})
	}
	if len(f.asked) > 0 {
		t.Errorf("the service was ordered to %q", <-f.asked)
	}
}

// TestFlowsAreOneObject: a list of any length is one JSON object, with one flow a line.
func TestFlowsAreOneObject(t *testing.T) {
	for n := range 4 {
		f := &fakeService{conns: someConns()[:n]}
		answer := httptest.NewRecorder()
		New(f, quiet(), nil).flows(answer, httptest.NewRequest("GET", "/flows", nil))
		var list admin.FlowList
		if err := json.Unmarshal(answer.Body.Bytes(), &list); err != nil || list.Flows == nil || len(list.Flows) != n {
			t.Errorf("%d flows: %v, %s", n, err, answer.Body)
		}
		if lines := strings.Count(answer.Body.String(), "\n"); lines != n+2 {
			t.Errorf("%d flows are %d lines:\n%s", n, lines, answer.Body)
		}
	}
}

// TestFlowsStopAtOnce: when the client is gone, no more pages are read.
func TestFlowsStopAtOnce(t *testing.T) {
	read := 0
	endless := func(yield func(route.Conn) bool) {
		for read < 1<<20 && yield(someConns()[0]) {
			read++
		}
	}
	gone := errors.New("the client is gone")
	if err := writeFlows(failingWriter{gone}, endless, 0, nil); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
	if read > 1000 {
		t.Errorf("%d conns were read for nobody", read)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestBusiest compares the choice with a full sort, for more conns than it keeps.
func TestBusiest(t *testing.T) {
	var conns []route.Conn
	for i := range 500 {
		c := someConns()[0]
		c.ToOrigin, c.ToClient = uint64(i*7919%503), uint64(i*104729%499)
		conns = append(conns, c)
	}
	for _, n := range []int{1, 2, 7, 100, 499, 500, 501, 1000} {
		list := firstOf(func(yield func(route.Conn) bool) {
			for _, c := range conns {
				if !yield(c) {
					return
				}
			}
		}, orders["bytes"], n)
		if len(list.Flows) != min(n, len(conns)) || list.Total != len(conns) {
			t.Errorf("%d of the busiest are %d", n, len(list.Flows))
		}
		least := list.Flows[len(list.Flows)-1]
		more := 0
		for _, c := range conns {
			if c.ToOrigin+c.ToClient > least.ToOrigin+least.ToClient {
				more++
			}
		}
		if more >= len(list.Flows) {
			t.Errorf("%d of the busiest: %d carry more than the last of them", n, more)
		}
		for i := 1; i < len(list.Flows); i++ {
			if a, b := list.Flows[i-1], list.Flows[i]; a.ToOrigin+a.ToClient < b.ToOrigin+b.ToClient {
				t.Fatalf("%d of the busiest: number %d carries more than the one before", n, i)
			}
		}
	}
}

// TestListenWeb: the next process can listen beside this one, and a port that is taken is an error
// that names the key.
func TestListenWeb(t *testing.T) {
	first, err := ListenWeb("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := ListenWeb(first.Addr().String(), nil)
	if err != nil {
		t.Fatalf("beside the first: %v", err)
	}
	second.Close()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if l, err := ListenWeb(other.Addr().String(), nil); err == nil || !strings.HasPrefix(err.Error(), "admin.http: ") || !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("beside another program's: %v, %v", l, err)
	}
	if l, err := ListenWeb("192.0.2.1:1", nil); err == nil {
		l.Close()
		t.Error("listens on an address that this host does not have")
	}
}

// TestListenWebForAnother: the listener belongs to the user to be, who then may listen beside it.
func TestListenWebForAnother(t *testing.T) {
	requireRoot(t)
	owner := &privileges.Account{UID: 65534, GID: 65534}
	listener, err := ListenWeb("127.0.0.1:0", owner)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if err := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &stat) }); err != nil {
		t.Fatal(err)
	}
	if err != nil || int(stat.Uid) != owner.UID {
		t.Errorf("the listener belongs to user %d, %v", stat.Uid, err)
	}
	if beside, err := ListenWeb(listener.Addr().String(), nil); err == nil { // root is another user here
		beside.Close()
		t.Error("root can listen beside the listener of another user")
	}
}

// TestServerFails: a listener that fails is reported once, and stop still returns.
func TestServerFails(t *testing.T) {
	failed := make(chan error, 1)
	stop := New(&fakeService{}, quiet(), nil).ServeWeb(brokenListener{}, failed)
	if err := <-failed; err == nil || err.Error() != "broken" {
		t.Errorf("the server reports %v", err)
	}
	stop()
}

type brokenListener struct{}

func (brokenListener) Accept() (net.Conn, error) { return nil, errors.New("broken") }
func (brokenListener) Close() error              { return nil }
func (brokenListener) Addr() net.Addr            { return &net.TCPAddr{} }

// TestWebServes asks a running server over TCP.
func TestWebServes(t *testing.T) {
	listener, err := ListenWeb("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := New(&fakeService{}, quiet(), nil).ServeWeb(listener, make(chan error, 1))
	defer stop()
	answer, err := http.Get("http://" + listener.Addr().String() + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != statusJSON {
		t.Errorf("%s, %v", text, err)
	}
}
