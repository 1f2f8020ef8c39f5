package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/privileges"
	"anyport/config"
)

// answering serves one answer on a socket like that of a running anyport.
func answering(t *testing.T, handler http.HandlerFunc) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "admin.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	served := make(chan struct{})
	go func() { // ended by Close
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return socket
}

func TestReadStatus(t *testing.T) {
	want := &Status{Version: "v1", PID: 7, Config: ConfigStatus{Path: "a.toml", Generation: 3}}
	socket := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			t.Errorf("asked for %s", r.URL)
		}
		_ = json.NewEncoder(w).Encode(want)
	})
	got, err := Client{Socket: socket}.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadStatusFails(t *testing.T) {
	nobody := filepath.Join(t.TempDir(), "admin.sock")
	other := answering(t, http.NotFound)
	garbage := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{")) })
	for socket, want := range map[string]string{
		nobody:  "no anyport answers on " + nobody + ": connect: no such file or directory: start it with: anyport run;",
		other:   other + ` answered "404 Not Found"`,
		garbage: garbage + ": the answer cannot be read",
	} {
		if _, err := (Client{Socket: socket}).Status(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestReloadRefused shows that the reason comes as it was given.
func TestReloadRefused(t *testing.T) {
	socket := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/reload" || r.FormValue("dry_run") != "1" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		http.Error(w, "line 3: one fault\nline 4: another", http.StatusConflict)
	})
	r, err := Client{Socket: socket}.Reload(t.Context(), true, nil)
	if r != nil || err == nil || err.Error() != "line 3: one fault\nline 4: another" {
		t.Errorf("%v, %v", r, err)
	}
}

// TestRequests: each method sends its one request, and nothing else.
func TestRequests(t *testing.T) {
	asked := make(chan string, 1)
	socket := answering(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.String()
		if r.ContentLength != 0 {
			t.Errorf("%s has a body", r.URL)
		}
		if r.URL.Path == "/flows" {
			_, _ = w.Write([]byte(`{"flows":[]}`))
			return
		}
		_, _ = w.Write([]byte(`{}`))
	})
	client := Client{Socket: socket}
	q := Question{Protocol: config.UDP, Dst: netip.MustParseAddrPort("[2001:db8::1]:53")}
	from := q
	from.Client = netip.MustParseAddr("198.51.100.9")
	for _, test := range []struct {
		want string
		ask  func() error
	}{
		{"GET /status?", func() error { _, err := client.Status(t.Context()); return err }},
		{"GET /drift?", func() error { _, err := client.Drift(t.Context()); return err }},
		{"GET /scans?limit=15", func() error { _, err := client.Scans(t.Context(), 15); return err }},
		{"POST /reload?dry_run=", func() error { _, err := client.Reload(t.Context(), false, nil); return err }},
		{"POST /reload?dry_run=1", func() error { _, err := client.Reload(t.Context(), true, nil); return err }},
		{"POST /upgrade?binary=", func() error { _, err := client.Upgrade(t.Context(), "", nil); return err }},
		{"POST /upgrade?binary=%2Fbin%2Fa+b", func() error { _, err := client.Upgrade(t.Context(), "/bin/a b", nil); return err }},
		{"POST /drain?force=&route=&undo=&wait=", func() error { _, err := client.Drain(t.Context(), DrainOrder{}); return err }},
		{"POST /drain?force=1&route=web&undo=1&wait=1", func() error {
			_, err := client.Drain(t.Context(), DrainOrder{Route: "web", Undo: true, Wait: true, Force: true})
			return err
		}},
		{"POST /origin?address=10.0.0.5%3A80&route=web&state=down", func() error {
			_, err := client.Origin(t.Context(), OriginOrder{Route: "web", Address: "10.0.0.5:80", State: "down"})
			return err
		}},
		{"POST /origin?address=a&route=web&state=&weight=0", func() error {
			_, err := client.Origin(t.Context(), OriginOrder{Route: "web", Address: "a"})
			return err
		}},
		{"GET /flows?route=web", func() error {
			_, err := client.Flows(t.Context(), FlowQuery{FlowFilter: FlowFilter{Route: "web"}}, func(Flow) error { return nil })
			return err
		}},
		{"GET /flows?", func() error { return client.CopyFlows(t.Context(), FlowQuery{}, io.Discard) }},
		{"GET /flows?limit=7&sort=bytes", func() error { _, err := client.FlowList(t.Context(), FlowQuery{Sort: "bytes", Limit: 7}); return err }},
		{"POST /kill?client=198.51.100.0%2F24&route=web", func() error {
			_, err := client.Kill(t.Context(), FlowFilter{Route: "web", Client: Where{Prefix: netip.MustParsePrefix("198.51.100.0/24")}})
			return err
		}},
		{"POST /kill?id=a&id=b", func() error { _, err := client.Kill(t.Context(), FlowFilter{IDs: []string{"a", "b"}}); return err }},
		{"GET /explain?dst=%5B2001%3Adb8%3A%3A1%5D%3A53&protocol=udp", func() error { _, err := client.Explain(t.Context(), q); return err }},
		{"GET /explain?client=198.51.100.9&dst=%5B2001%3Adb8%3A%3A1%5D%3A53&protocol=udp", func() error { _, err := client.Explain(t.Context(), from); return err }},
	} {
		if err := test.ask(); err != nil {
			t.Errorf("%s: %v", test.want, err)
		}
		got := <-asked
		wantURL, err := url.ParseRequestURI(strings.SplitN(test.want, " ", 2)[1])
		if err != nil {
			t.Fatal(err)
		}
		gotURL, err := url.ParseRequestURI(strings.SplitN(got, " ", 2)[1])
		if err != nil {
			t.Fatal(err)
		}
		if strings.SplitN(got, " ", 2)[0] != strings.SplitN(test.want, " ", 2)[0] || gotURL.Path != wantURL.Path || !maps.EqualFunc(gotURL.Query(), wantURL.Query(), slices.Equal) {
			t.Errorf("asked %s, want %s", got, test.want)
		}
	}
}

// TestErrors: whoever types a command reads what is wrong and what to look at.
func TestErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   string // the error, where SOCKET is the path
	}{
		{"forbidden", status(http.StatusForbidden, "user 7 may not\n"), "user 7 may not"},
		{"a conflict", status(http.StatusConflict, "one\ntwo\n\n"), "one\ntwo"},
		{"an older anyport", http.NotFound, `SOCKET answered "404 Not Found": is it an anyport of another version?`},
		{"an older anyport with another method", status(http.StatusMethodNotAllowed, ""), `SOCKET answered "405 Method Not Allowed": is it an anyport of another version?`},
		{"a fault of the server", status(http.StatusInternalServerError, "panic"), `SOCKET answered "500 Internal Server Error": is it an anyport of another version?`},
		{"no JSON", status(http.StatusOK, "hello"), "SOCKET: the answer cannot be read: invalid character 'h' looking for beginning of value"},
		{"nothing", status(http.StatusOK, ""), "SOCKET: the answer cannot be read: EOF"},
		{"JSON of another kind", status(http.StatusOK, `[1]`), "SOCKET: the answer cannot be read: json: cannot unmarshal array into Go value of type admin.Drift"},
		{"a cut answer", cut(`{"drift":["on`), "SOCKET: the answer cannot be read: unexpected EOF"},
		{"a conn that ends", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "no anyport answers on SOCKET: EOF: it may be about to end, or hang: see its log, and ask again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			socket := answering(t, test.answer)
			_, err := Client{Socket: socket}.Drift(t.Context())
			if want := strings.ReplaceAll(test.want, "SOCKET", socket); err == nil || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
		})
	}
}

func status(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
	}
}

// cut answers with the beginning of something, and breaks off.
func cut(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(text))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// TestNobody: a socket that is not there, that may not be opened, or that nobody listens on any more
// is told apart from a refusal, and the error says why.
func TestNobody(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for socket, want := range map[string]error{
		filepath.Join(dir, "none.sock"): fs.ErrNotExist,
		dead:                            unix.ECONNREFUSED,
		file:                            unix.ECONNREFUSED,
		strings.Repeat("x", 200):        unix.EINVAL,
	} {
		_, err := Client{Socket: socket}.Status(t.Context())
		if !errors.Is(err, ErrNobody) || !errors.Is(err, want) || !strings.Contains(err.Error(), socket) || strings.Contains(err.Error(), "http://") {
			t.Errorf("%s: %v, want %v", socket, err, want)
		}
	}
}

// TestPermissionDenied asks as another user than the owner of the socket.
func TestPermissionDenied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	socket := answering(t, status(http.StatusOK, "{}"))
	for dir := filepath.Dir(socket); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	conn := func() (err error) { // connect(2) is all that the client does before it asks
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
	}
	nobody := &privileges.Account{UID: 65534, GID: 65534}
	if err := nobody.Do(conn); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("another user can connect: %v", err)
	}
	if _, err := (Client{Socket: socket}).Status(t.Context()); err != nil {
		t.Errorf("root cannot: %v", err)
	}
}

// TestFlowsArrive: flows are handed over as they arrive, and a list that is cut short is an error
// after those that did arrive.
func TestFlowsArrive(t *testing.T) {
	const two = `{"flows":[` + "\n" + `{"client":"a"},` + "\n" + `{"client":"b"}`
	stop := errors.New("stop")
	for _, test := range []struct {
		name, text string
		cut        bool
		each       error // of the second flow
		want       string
		err        string // "": none
	}{
		{"the whole", two + "\n]}\n", false, nil, "ab", ""},
		{"a sorted list", two + `],"total":5}`, false, nil, "ab", ""},
		{"more behind", two + `],"total":5,"left":[{"pid":7,"conns_active":3}],"later":{"a":[]}}`, false, nil, "ab", ""},
		{"a list that is none behind", two + `],"left":7}`, false, nil, "ab", "the answer cannot be read: "},
		{"none", `{"flows":[]}`, false, nil, "", ""},
		{"cut after a flow", two, true, nil, "ab", "the answer cannot be read: "},
		{"ended after a flow", two, false, nil, "ab", "the answer cannot be read: "},
		{"cut in a flow", two + `,{"cli`, true, nil, "ab", "the answer cannot be read: unexpected EOF"},
		{"cut before the list", `{"flows"`, true, nil, "", "the answer cannot be read: "},
		{"no list", `{}`, false, nil, "", "the answer cannot be read: "},
		{"a flow of another kind", `{"flows":[{"client":"a"},7]}`, false, nil, "a", "the answer cannot be read: "},
		{"the reader stops", two + "]}", false, stop, "ab", "stop"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := status(http.StatusOK, test.text)
			if test.cut {
				answer = cut(test.text)
			}
			got := ""
			rest, err := Client{Socket: answering(t, answer)}.Flows(t.Context(), FlowQuery{}, func(f Flow) error {
				if got += f.Client; len(got) == 2 {
					return test.each
				}
				return nil
			})
			if got != test.want || (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %q, %v, want %q, %q", got, err, test.want, test.err)
			}
			if left := strings.Contains(test.text, `"pid"`); left != (len(rest.Left) == 1) || left && rest.Left[0] != (Left{PID: 7, ConnsActive: 3}) {
				t.Errorf("left in %+v", rest.Left)
			}
			if total := strings.Contains(test.text, `"total":5`); total != (rest.Total == 5) {
				t.Errorf("%d in all", rest.Total)
			}
		})
	}
}

// TestCopyFlows: a cut answer must not look like a whole one.
func TestCopyFlows(t *testing.T) {
	const text = `{"flows":[]}` + "\n"
	var out strings.Builder
	if err := (Client{Socket: answering(t, status(http.StatusOK, text))}).CopyFlows(t.Context(), FlowQuery{}, &out); err != nil || out.String() != text {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := (Client{Socket: answering(t, cut(`{"flows":[`))}).CopyFlows(t.Context(), FlowQuery{}, io.Discard); err == nil {
		t.Error("a cut answer is no error")
	}
	if err := (Client{Socket: answering(t, status(http.StatusConflict, "no route\n"))}).CopyFlows(t.Context(), FlowQuery{}, io.Discard); err == nil || err.Error() != "no route" {
		t.Errorf("a refusal: %v", err)
	}
}

// TestSilence: a process that accepts and says nothing holds up nobody who has somewhere to be.
func TestSilence(t *testing.T) {
	silent := make(chan struct{})
	socket := answering(t, func(http.ResponseWriter, *http.Request) { <-silent })
	t.Cleanup(func() { close(silent) }) // before that of answering
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (Client{Socket: socket}).Drift(ctx); !errors.Is(err, ErrNobody) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the end of the context", err)
	}
}

// TestSendsFiles: the file descriptors arrive with the first byte, in the order of their names, and
// stay the caller's.
func TestSendsFiles(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	fds := map[string]int{}
	for name, size := range map[string]int64{"b": 2, "a": 1, "c": 3} {
		fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Ftruncate(fd, size); err != nil {
			t.Fatal(err)
		}
		fds[name] = fd
	}
	go func() { _, _ = Client{Socket: socket}.Upgrade(t.Context(), "", fds) }() // ended by the conn
	conn, err := listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text, control := make([]byte, 4096), make([]byte, 4096)
	n, size, _, _, err := conn.ReadMsgUnix(text, control)
	if err != nil {
		t.Fatal(err)
	}
	if request, _, _ := strings.Cut(string(text[:n]), "\r\n"); request != "POST /upgrade?binary=&fd=a&fd=b&fd=c HTTP/1.1" {
		t.Errorf("asked %q", request)
	}
	messages, err := unix.ParseSocketControlMessage(control[:size])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d control messages, %v", len(messages), err)
	}
	got, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(got) != 3 {
		t.Fatalf("%d file descriptors, %v", len(got), err)
	}
	for i, fd := range got {
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil || stat.Size != int64(i+1) {
			t.Errorf("in place %d is a file of %d bytes, %v", i, stat.Size, err)
		}
		unix.Close(fd)
	}
	for name, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Errorf("%s is closed here: %v", name, err)
		}
	}
}

// TestAboutOlder: a process that does not know the question says the same by its status; any other refusal is one.
func TestAboutOlder(t *testing.T) {
	older := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(&Status{Version: "v1", PID: 7, Config: ConfigStatus{Path: "a.toml"}, Steering: SteeringStatus{ProgramID: 9}, Peers: &PeersStatus{Off: "why"}})
	})
	about, err := Client{older}.About(t.Context())
	if diff := cmp.Diff(&About{Version: "v1", PID: 7, Path: "a.toml", ProgramID: 9, Peers: &PeersStatus{Off: "why"}}, about); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	refused := answering(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "why not", http.StatusForbidden) })
	if _, err := (Client{refused}).About(t.Context()); err == nil || err.Error() != "why not" {
		t.Errorf("refused: %v", err)
	}
}
