package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
)

// insideVariable tells the test's process that it runs in a network namespace of its own.
const insideVariable = "ANYPORT_TEST_INSIDE"

// TestMain runs the tests of root in a network namespace that ends with the process: they steer.
func TestMain(m *testing.M) {
	if os.Geteuid() == 0 && os.Getenv(insideVariable) == "" {
		if err := enterNamespace(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// enterNamespace begins this process again in a new network namespace: execve(2) makes the thread
// that is in it the whole process.
func enterNamespace() error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil // not permitted here: the tests that need it are skipped
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return unix.Exec(self, os.Args, append(os.Environ(), insideVariable+"=1"))
}

// live is a running daemon of a test.
type live struct {
	admin.Client
	path    string // of its file
	text    string // what is before the routes
	log     *syncBuffer
	signals chan os.Signal
	ended   chan error
}

type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start runs a daemon with these routes, and more keys of [admin], until the test ends. change may change
// its options.
func start(t *testing.T, keys, routes string, change ...func(*Options)) *live {
	t.Helper()
	if os.Getenv(insideVariable) == "" {
		if os.Getenv("REQUIRE_ROOT") == "1" {
			t.Fatal("needs root and a network namespace")
		}
		t.Skip("needs root and a network namespace")
	}
	dir := t.TempDir()
	l := &live{
		Client: admin.Client{Socket: filepath.Join(dir, "admin.sock")}, path: filepath.Join(dir, "anyport.toml"),
		log: &syncBuffer{}, signals: make(chan os.Signal, 3), ended: make(chan error, 1),
	}
	l.text = fmt.Sprintf("[steering]\npin = \"\"\n[admin]\nsocket = %q\n%s\n", l.Socket, keys)
	l.write(t, routes)
	c, err := config.Load(l.path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	opt := Options{Config: c, Version: "test", Log: l.log, Signals: l.signals, Ready: func() { close(ready) }}
	for _, c := range change {
		c(&opt)
	}
	go func() { l.ended <- Run(ctx, opt) }() // ended by cancel, or by the test's signals
	select {
	case <-ready:
	case err := <-l.ended:
		cancel()
		t.Fatalf("it does not run: %v\n%s", err, l.log)
	case <-time.After(time.Minute):
		t.Fatalf("it is not ready:\n%s", l.log)
	}
	t.Cleanup(func() {
		cancel()
		l.signals <- syscall.SIGTERM // the second order to stop: at once
		select {
		case <-l.ended:
		case <-time.After(time.Minute):
			t.Errorf("it does not end:\n%s", l.log)
		}
	})
	return l
}

func (l *live) write(t *testing.T, routes string) {
	t.Helper()
	if err := os.WriteFile(l.path, []byte(l.text+routes), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually polls with patience: the machine may be busy.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

// echo is an origin that answers each line with itself.
func echo(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() { // ended by Close
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { // ended by its peer
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func webRoute(name, prefix, origin, more string) string {
	return fmt.Sprintf("[route.%s]\nprotocol = \"tcp\"\nprefixes = [%q]\norigins = [%q]\n%s\n", name, prefix, origin, more)
}

// dialThrough makes a conn to a served address and says something through it.
func dialThrough(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	say(t, conn)
	return conn
}

func say(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintln(conn, "hello")
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "hello\n" {
		t.Fatalf("the echo is %q, %v", line, err)
	}
}

func refused(address string) bool {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)
}

func refusedWith(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestLifeOfADaemon serves a conn, and asks for all that can be asked meanwhile.
func TestLifeOfADaemon(t *testing.T) {
	l := start(t, "", webRoute("web", "192.0.2.0/24", echo(t), "drain_timeout = \"30s\""))
	ctx := t.Context()
	conn := dialThrough(t, "192.0.2.7:4711")

	status, err := l.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r := status.Routes[0]; status.PID != os.Getpid() || status.Version != "test" || !status.Steering.Attached || status.Stopping || r.ConnsActive != 1 || r.Lookups == 0 || r.Draining {
		t.Errorf("status %+v", status)
	}
	if drift, err := l.Drift(ctx); err != nil || len(drift.Lines) != 0 {
		t.Errorf("drift %+v, %v", drift, err)
	}
	var flows []admin.Flow
	if _, err := l.Flows(ctx, admin.FlowQuery{FlowFilter: admin.FlowFilter{Route: "web"}}, func(f admin.Flow) error { flows = append(flows, f); return nil }); err != nil || len(flows) != 1 || flows[0].Dst != "192.0.2.7:4711" || flows[0].ToOrigin != 6 {
		t.Errorf("flows %+v, %v", flows, err)
	}
	_, err = l.Flows(ctx, admin.FlowQuery{FlowFilter: admin.FlowFilter{Route: "gone"}}, nil)
	refusedWith(t, err, `no route "gone" is in service: there are web`)
	e, err := l.Explain(ctx, admin.Question{Protocol: config.TCP, Dst: netip.MustParseAddrPort("192.0.2.9:80")})
	if err != nil || !strings.Contains(e.Text, "verdict: steer\nroute: web\n") || e.File != "it is what is in service" || len(e.Kernel) == 0 || e.PID != os.Getpid() {
		t.Errorf("explain %+v, %v", e, err)
	}

	drained, err := l.Drain(ctx, admin.DrainOrder{Route: "web"})
	if err != nil || !drained.Draining || drained.Conns["web"] != 1 {
		t.Errorf("drain %+v, %v", drained, err)
	}
	if !refused("192.0.2.7:4711") {
		t.Error("a drained route takes a conn")
	}
	say(t, conn) // the old one lives
	if drained, err = l.Drain(ctx, admin.DrainOrder{Undo: true}); err != nil || drained.Draining {
		t.Errorf("undo %+v, %v", drained, err)
	}
	dialThrough(t, "192.0.2.7:80").Close()
	_, err = l.Drain(ctx, admin.DrainOrder{Route: "gone"})
	refusedWith(t, err, `no route "gone" is in service`)
	_, err = l.Upgrade(ctx, l.path+"-gone", nil)
	refusedWith(t, err, "no such file")
}

// TestReloads: what a reload may change it changes, and what it refuses leaves everything as it was.
func TestReloads(t *testing.T) {
	origin := echo(t)
	web := webRoute("web", "192.0.2.0/24", origin, "drain_timeout = \"200ms\"")
	l := start(t, "", web)
	ctx := t.Context()
	conn := dialThrough(t, "192.0.2.7:4711")
	for _, test := range []struct{ name, text, want string }{
		{"no TOML", l.text + "[route", "not TOML"},
		{"no route", l.text, "[route.NAME]"},
		{"a key that cannot change", l.text + "[listen]\nworkers = 2\n" + web, "listen.workers: 1 cannot become 2"},
		{"another admin socket", strings.Replace(l.text, "admin.sock", "other.sock", 1) + web, "admin.socket: "},
		{"an access log that cannot be opened", l.text + "[log]\naccess = \"/nowhere/access.log\"\n" + web, "log.access: "},
		{"a log daemon that is not there", l.text + "[log]\naccess = \"syslog:unix:///nowhere/log\"\n" + web, "log.access: "},
		{"a loop", l.text + webRoute("web", "192.0.2.0/24", "192.0.2.9:80", ""), "192.0.2.9"},
		{"two that tie", l.text + web + webRoute("two", "192.0.2.0/24", origin, ""), "two"},
	} {
		if err := os.WriteFile(l.path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, dryRun := range []bool{true, false} {
			_, err := l.Reload(ctx, dryRun, nil)
			refusedWith(t, err, test.want)
		}
		status, err := l.Status(ctx)
		if err != nil || status.Config.Generation != 1 || !strings.Contains(status.Config.Refused, test.want) {
			t.Errorf("%s: %+v, %v", test.name, status.Config, err)
		}
		say(t, conn)
	}
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	_, err := l.Reload(ctx, false, nil)
	refusedWith(t, err, "no such file")
	if !strings.Contains(l.log.String(), `level=ERROR msg="reload refused: the old config serves on"`) {
		t.Errorf("the log:\n%s", l.log)
	}

	l.write(t, webRoute("new", "203.0.113.0/24", origin, ""))
	dry, err := l.Reload(ctx, true, nil)
	if err != nil || !dry.DryRun || dry.Generation != 1 || len(dry.Routes) != 2 {
		t.Errorf("%+v, %v", dry, err)
	}
	say(t, conn) // nothing was changed
	done, err := l.Reload(ctx, false, nil)
	if err != nil || done.DryRun || done.Generation != 2 || len(done.Named(config.Added)) != 1 || len(done.Named(config.Removed)) != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	for _, r := range done.Routes {
		if r.Name == "web" && (r.ConnsActive != 1 || r.ConnsEnding != 1 || r.DrainSeconds != 0.2) {
			t.Errorf("%+v, want one conn that ends", r)
		}
	}
	dialThrough(t, "203.0.113.5:1")
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a conn of a removed route lives on")
	}
	if status, err := l.Status(ctx); err != nil || status.Config.Refused != "" || status.Config.Generation != 2 {
		t.Errorf("%+v, %v", status.Config, err)
	}
}

// TestReloadBySignal: SIGHUP reloads, and several at once read the last state of the file.
func TestReloadBySignal(t *testing.T) {
	origin := echo(t)
	l := start(t, "", webRoute("web", "192.0.2.0/24", origin, ""))
	l.write(t, webRoute("web", "192.0.2.0/24", origin, "max_conns = 5"))
	for range 3 {
		l.signals <- syscall.SIGHUP
	}
	eventually(t, "reloaded", func() bool { return strings.Contains(l.log.String(), "msg=reloaded") })
	eventually(t, "all three are done", func() bool {
		reloaded, err := l.Reload(t.Context(), true, nil)
		return err == nil && len(reloaded.Routes) == 0
	})
	if n := strings.Count(l.log.String(), "msg=reloaded"); n > 3 {
		t.Errorf("%d reloads for three signals", n)
	}
}

// TestReloadsAtOnce: everybody who asks gets an answer, and no generation is skipped.
func TestReloadsAtOnce(t *testing.T) {
	origin := echo(t)
	l := start(t, "", webRoute("web", "192.0.2.0/24", origin, ""))
	var asking sync.WaitGroup
	for i := range 20 {
		asking.Go(func() {
			if i%5 == 0 {
				l.signals <- syscall.SIGHUP
			}
			if _, err := l.Reload(context.Background(), i%4 == 0, nil); err != nil {
				t.Errorf("reload %d: %v", i, err)
			}
		})
	}
	asking.Wait()
	status, err := l.Status(t.Context())
	if err != nil || status.Config.Generation < 2 || status.Config.Generation > 30 {
		t.Errorf("%+v, %v", status.Config, err)
	}
}

// TestDrainWaits: --wait returns with the last conn, or when somebody undoes the drain.
func TestDrainWaits(t *testing.T) {
	l := start(t, "", webRoute("web", "192.0.2.0/24", echo(t), "drain_timeout = \"1m\""))
	conn := dialThrough(t, "192.0.2.7:1")
	wait := func() chan error {
		done := make(chan error, 1)
		go func() { // ended by the answer
			_, err := l.Drain(context.Background(), admin.DrainOrder{Route: "web", Wait: true})
			done <- err
		}()
		eventually(t, "it drains", func() bool {
			status, err := l.Status(t.Context())
			return err == nil && status.Routes[0].Draining
		})
		return done
	}
	waiting := wait()
	if _, err := l.Drain(t.Context(), admin.DrainOrder{Route: "web", Undo: true}); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, <-waiting, "somebody else has undone the drain")
	waiting = wait()
	select {
	case err := <-waiting:
		t.Fatalf("returned beside a live conn: %v", err)
	case <-time.After(3 * drainPoll):
	}
	conn.Close()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	l.write(t, webRoute("web", "192.0.2.0/24", "127.0.0.1:1", "")) // a reload does not undo it
	if _, err := l.Reload(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	if !refused("192.0.2.7:1") {
		t.Error("the route takes conns after a reload")
	}
}

// TestStops: the first order to stop refuses new conns and lets the live one end; then nothing can be
// changed any more.
func TestStops(t *testing.T) {
	l := start(t, "", webRoute("web", "192.0.2.0/24", echo(t), "drain_timeout = \"1m\""))
	conn := dialThrough(t, "192.0.2.7:1")
	l.signals <- syscall.SIGTERM
	eventually(t, "it says that it stops", func() bool {
		status, err := l.Status(t.Context())
		return err == nil && status.Stopping && status.Routes[0].Draining
	})
	if !refused("192.0.2.7:1") {
		t.Error("it takes a conn")
	}
	say(t, conn)
	_, err := l.Reload(t.Context(), false, nil)
	refusedWith(t, err, errStopping.Error())
	_, err = l.Reload(t.Context(), true, nil)
	refusedWith(t, err, errStopping.Error())
	_, err = l.Drain(t.Context(), admin.DrainOrder{Route: "web"})
	refusedWith(t, err, errStopping.Error())
	_, err = l.Upgrade(t.Context(), "", nil)
	refusedWith(t, err, errStopping.Error())
	conn.Close()
	select {
	case err := <-l.ended:
		if err != nil {
			t.Error(err)
		}
		l.ended <- nil // for the cleanup
	case <-time.After(time.Minute):
		t.Fatal("it does not end with the last conn")
	}
	if _, err := os.Lstat(l.Socket); !os.IsNotExist(err) {
		t.Errorf("the admin socket is left: %v", err)
	}
	if !refusedOrUnreachable("192.0.2.7:1") {
		t.Error("the address is still served")
	}
}

func refusedOrUnreachable(address string) bool {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err == nil {
		conn.Close()
	}
	return err != nil
}

// TestStopsAtOnce: a second signal does not wait for live conns.
func TestStopsAtOnce(t *testing.T) {
	l := start(t, "", webRoute("web", "192.0.2.0/24", echo(t), "drain_timeout = \"1h\""))
	dialThrough(t, "192.0.2.7:1")
	l.signals <- syscall.SIGTERM
	l.signals <- syscall.SIGINT
	select {
	case err := <-l.ended:
		if err != nil {
			t.Error(err)
		}
		l.ended <- nil
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	if !strings.Contains(l.log.String(), "stopped at once by a second signal") {
		t.Errorf("the log:\n%s", l.log)
	}
}

// TestAdminHTTP: the web server answers under the names of the config in service, and stays where it is.
func TestAdminHTTP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	web := webRoute("web", "192.0.2.0/24", echo(t), "")
	l := start(t, fmt.Sprintf("http = %q", address), web)
	get := func(host string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer.StatusCode
	}
	if code := get("edge.example.com"); code != http.StatusForbidden {
		t.Errorf("under a name that is not its own: %d", code)
	}
	l.text += "http_hosts = [\"edge.example.com\"]\n"
	l.write(t, web)
	if _, err := l.Reload(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	if code := get("edge.example.com"); code != http.StatusOK {
		t.Errorf("under the name that the reload has given it: %d", code)
	}
	l.text = strings.Replace(l.text, address, "127.0.0.1:1", 1)
	l.write(t, web)
	_, err = l.Reload(t.Context(), false, nil)
	refusedWith(t, err, "admin.http: ")
	if code := get(address); code != http.StatusOK {
		t.Errorf("after a refused reload: %d", code)
	}
}

// TestOpenFails: what cannot begin leaves nothing behind: no file, no socket, no local route.
func TestOpenFails(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		t.Skip("needs root and a network namespace")
	}
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	route := webRoute("web", "192.0.2.0/24", "10.0.0.5", "")
	for _, test := range []struct{ name, text, want string }{
		{"a socket path that is a file", fmt.Sprintf("[admin]\nsocket = %q\n", file) + route, "is not a socket"},
		{"a port that is taken", fmt.Sprintf("[admin]\nsocket = \"\"\nhttp = %q\n", taken.Addr()) + route, "admin.http: "},
		{"admin.http within a prefix", "[admin]\nsocket = \"\"\nhttp = \"192.0.2.1:9765\"\n" + route, "admin.http"},
		{"an access log in no directory", fmt.Sprintf("[admin]\nsocket = %q\n[log]\naccess = %q\n", filepath.Join(dir, "admin.sock"), filepath.Join(dir, "none", "log")) + route, "log.access"},
		{"a pin that cannot be", fmt.Sprintf("[admin]\nsocket = %q\n[steering]\npin = %q\n", filepath.Join(dir, "admin.sock"), dir) + route, "pin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := config.Parse("anyport.toml", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			before := openFiles(t)
			err = Run(t.Context(), Options{Config: c, Log: io.Discard})
			refusedWith(t, err, test.want)
			eventually(t, "all files are closed", func() bool { return openFiles(t) <= before })
			routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_LOCAL}, netlink.RT_FILTER_TABLE)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range routes {
				if r.Dst != nil && r.Dst.String() == "192.0.2.0/24" {
					t.Errorf("a route is left: %v", r)
				}
			}
			if _, err := os.Lstat(filepath.Join(dir, "admin.sock")); !os.IsNotExist(err) {
				t.Errorf("the admin socket is left: %v", err)
			}
		})
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
