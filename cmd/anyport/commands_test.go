package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering"
)

// fakeAnyport answers on an admin socket as a running anyport does.
type fakeAnyport struct {
	socket string

	mu      sync.Mutex
	asked   []string          // methods and URLs
	answers map[string]any    // by path
	refuse  map[string]string // the reason, by path
	word    string            // what each refusal is about
	silent  bool              // ends each conn without an answer
}

// serve starts one for the test.
func serve(t *testing.T) *fakeAnyport {
	t.Helper()
	f := &fakeAnyport{socket: filepath.Join(t.TempDir(), "admin.sock"), refuse: map[string]string{}, answers: map[string]any{
		"/about": admin.About{Version: "v1", PID: os.Getpid(), Path: "/etc/anyport/anyport.toml", ProgramID: 7},
		"/status": admin.Status{
			Version: "v1", PID: os.Getpid(), UptimeSeconds: 61, Config: admin.ConfigStatus{Path: "/etc/anyport/anyport.toml", Generation: 3},
			Steering: admin.SteeringStatus{Attached: true, ProgramID: 7, ForeignPrograms: []uint32{}, Missing: []string{}},
			Routes:   []admin.RouteStatus{{Name: "web", Protocol: []string{"tcp"}, Prefixes: []string{"192.0.2.0/24"}, Ports: []string{"80"}, Action: "forward", ConnsActive: 2}},
		},
		"/drift":   admin.Drift{Lines: []string{}},
		"/flows":   admin.FlowList{Flows: []admin.Flow{{Protocol: "tcp", Client: "198.51.100.9:1", Dst: "192.0.2.1:80", Route: "web", ID: "0123456789abcdef", State: "connecting", AgeSeconds: 61, IdleSeconds: 0.25, ToOrigin: 2048}}},
		"/trace":   admin.TraceEvent{By: admin.ByTrace, Event: admin.TraceEnd, Reason: "stopped"},
		"/kill":    admin.Killed{Ended: 2, Missing: []string{}},
		"/drain":   admin.Drained{Draining: true, Conns: map[string]int64{"web": 1, "dns": 2}},
		"/confirm": admin.Confirmed{Path: "/etc/anyport/anyport.toml", SecondsLeft: 41.7},
		"/origin":  admin.OriginStatus{Address: "10.0.0.5:80", Forced: "drain", Weight: 3, ConnsActive: 2},
		"/reload":  admin.Reloaded{Path: "a.toml", Generation: 4, Keys: []config.KeyDiff{{Key: "log.level", Old: `"info"`, New: `"warn"`}}, Routes: []admin.RouteChange{}},
		"/upgrade": admin.Upgraded{PID: 8, Binary: "/bin/new", Flows: 1, Conns: 2, Left: 1},
		"/explain": admin.Explained{Text: "verdict: steer\nroute: web\n", Kernel: []string{"steer"}, File: "it is what is in service", PID: 1},
	}}
	listener, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: f}
	served := make(chan struct{})
	go func() { _ = server.Serve(listener); close(served) }() // ended by Close
	t.Cleanup(func() { server.Close(); <-served })
	return f
}

// ServeHTTP answers one request.
func (f *fakeAnyport) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.Method+" "+r.URL.String())
	if f.silent {
		panic(http.ErrAbortHandler)
	}
	if why, refused := f.refuse[r.URL.Path]; refused {
		w.Header().Set(admin.RefusedHeader, f.word)
		http.Error(w, why, http.StatusConflict)
		return
	}
	_ = json.NewEncoder(w).Encode(f.answers[r.URL.Path])
}

// run executes one command line.
func run(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = execute(args, &out, &errs)
	return status, out.String(), errs.String()
}

// TestCommands asks a running anyport with every command: what is printed, where, and the exit status.
func TestCommands(t *testing.T) {
	for _, test := range []struct {
		args   string
		refuse string // the path whose request is refused with "why not"
		status int
		stdout string // a part
		stderr string // a part; "": nothing
		asked  string // a request; "": there is none
	}{
		{"status", "", exitDone, "anyport     v1, pid ", "", "GET /status?"},
		{"status --json", "", exitDone, "\n  \"version\": \"v1\",\n", "", "GET /status?"},
		{"status --drift", "", exitDone, "", "", "GET /drift?"},
		{"status --drift --json", "", exitDone, "{\n  \"drift\": []\n}\n", "", "GET /drift?"},
		{"status extra", "", exitUsage, "", `status takes no argument such as "extra"`, ""},
		{"flows", "", exitDone, "0123456789abcdef  tcp       198.51.100.9:1  192.0.2.1:80  web       -         connecting  -         1m1s      300ms     2.0 KiB    0 B\n", "", "GET /flows?"},
		{"flows --route web", "", exitDone, "ID", "", "GET /flows?route=web"},
		{"flows --json", "", exitDone, `{"flows":[{"id":"0123456789abcdef","protocol":"tcp"`, "", "GET /flows?"},
		{"flows --client 198.51.100.9/24 --dst :443 --origin 10.0.0.5:80 --protocol tcp --state open --sort idle --limit 5", "", exitDone, "ID", "", "GET /flows?client=198.51.100.0%2F24&dst=%3A443&limit=5&origin=10.0.0.5%3A80&protocol=tcp&sort=idle&state=open"},
		{"flows --sort size", "", exitUsage, "", `--sort: "size" is not one of age, bytes, idle, rate`, ""},
		{"flows --client me", "", exitUsage, "", `--client: "me" is not an address, a prefix, ADDRESS:PORT or :PORT`, ""},
		{"flows --sort age --limit 10001", "", exitUsage, "", "a sorted list has at most 10000 flows", ""},
		{"flows --sort rate", "", exitDone, "TO ORIGIN/S  TO CLIENT/S\n0123456789abcdef", "", "GET /flows?"},
		{"flows --sort rate --json", "", exitDone, `"bytes_to_origin_per_second": 0`, "", "GET /flows?"},
		{"trace", "", exitDone, " -- the trace has ended: stopped\n", "", "GET /trace?"},
		{"trace --client 198.51.100.9/24 --route web --json", "", exitDone, `"by":"trace","event":"end","reason":"stopped"}`, "", "GET /trace?client=198.51.100.0%2F24&route=web"},
		{"trace --client me", "", exitUsage, "", `--client: "me" is not an address, a prefix, ADDRESS:PORT or :PORT`, ""},
		{"trace --client=", "", exitUsage, "", `--client "": name a value`, ""},
		{"trace --route x", "/trace", exitFailed, "", "anyport: why not\n", "GET /trace?route=x"},
		{"kill 0123456789abcdef", "", exitDone, "2 conns and flows ended\n", "", "POST /kill?id=0123456789abcdef"},
		{"kill --route web --client 198.51.100.0/24", "", exitDone, "2 conns and flows ended\n", "", "POST /kill?client=198.51.100.0%2F24&route=web"},
		{"kill", "", exitUsage, "", "say what to end: an ID of \"anyport flows\", --route or --client", ""},
		{"kill --client=", "", exitUsage, "", `--client "": name a value`, ""},
		{"kill 198.51.100.9", "", exitUsage, "", `"198.51.100.9" is not an ID`, ""},
		{"kill --route web", "/kill", exitFailed, "", "anyport: why not\n", "POST /kill?route=web"},
		{"flows --route x", "/flows", exitFailed, "", "anyport: why not\n", "GET /flows?route=x"},
		{"drain", "", exitDone, "dns: takes no new conns, 2 live conns\nweb: takes no new conns, 1 live conn\n", "", "POST /drain?force=&route=&undo=&wait="},
		{"drain --route web --wait", "", exitDone, "web: ", "", "POST /drain?force=&route=web&undo=&wait=1"},
		{"drain --undo", "", exitDone, "web: ", "", "POST /drain?force=&route=&undo=1&wait="},
		{"drain --undo --wait", "", exitUsage, "", "--wait and --undo: give one of them", ""},
		{"drain --undo --force", "", exitUsage, "", "--force and --undo: give one of them", ""},
		{"drain --force", "", exitDone, "web: ", "", "POST /drain?force=1&route=&undo=&wait="},
		{"drain --route=", "", exitUsage, "", `--route "": name a route, or leave it out for all of them`, ""},
		{"confirm", "", exitDone, "confirmed with 42s left: /etc/anyport/anyport.toml stays in service\n", "", "POST /confirm?"},
		{"confirm", "/confirm", exitFailed, "", "anyport: why not\n", "POST /confirm?"},
		{"origin drain web/10.0.0.5:80", "", exitDone, "web/10.0.0.5:80: drain, weight 3, 2 live conns\n", "", "POST /origin?address=10.0.0.5%3A80&route=web&state=drain"},
		{"origin weight web/[2001:db8::5]:80 3", "", exitDone, "web/", "", "POST /origin?address=%5B2001%3Adb8%3A%3A5%5D%3A80&route=web&state=&weight=3"},
		{"origin ready web/a", "/origin", exitFailed, "", "anyport: why not\n", "POST /origin?address=a&route=web&state=ready"},
		{"origin down web", "", exitUsage, "", `"web" names no origin: write ROUTE/ADDRESS, such as web/10.0.0.5:80`, ""},
		{"origin down", "", exitUsage, "", "0 arguments were given: write anyport origin down ROUTE/ADDRESS", ""},
		{"origin weight web/a many", "", exitUsage, "", `the weight "many" is not a number from 0 to 65535`, ""},
		{"drain", "/drain", exitFailed, "", "anyport: why not\n", "POST /drain?force=&route=&undo=&wait="},
		{"reload", "", exitDone, "~ log.level: \"info\" → \"warn\"\na.toml is in service: generation 4\n", "", "POST /reload?dry_run="},
		{"reload --dry-run --json", "", exitChanges, "\"generation\": 4", "", "POST /reload?dry_run=1"},
		{"reload --share 0.5%", "", exitDone, "generation 4\n", "", "POST /reload?share=0.5"},
		{"reload --all", "", exitDone, "generation 4\n", "", "POST /reload?end=all"},
		{"reload --back", "", exitDone, "generation 4\n", "", "POST /reload?end=back"},
		{"reload --share 5", "", exitUsage, "", `--share: "5" is not a percentage between 0% and 100%, such as 5%`, ""},
		{"reload --share 100%", "", exitUsage, "", `--share: "100%" is not a percentage`, ""},
		{"reload --share 0%", "", exitUsage, "", `--share: "0%" is not a percentage`, ""},
		{"reload --share NaN%", "", exitUsage, "", `--share: "NaN%" is not a percentage`, ""},
		{"reload --share 5% --all", "", exitUsage, "", "give one of --dry-run, --share, --all and --back", ""},
		{"reload --back --dry-run", "", exitUsage, "", "give one of --dry-run, --share, --all and --back", ""},
		{"reload", "/reload", exitFailed, "", "anyport: why not\n", "POST /reload?dry_run="},
		{"explain tcp 192.0.2.1:80", "", exitDone, "verdict: steer\nroute: web\nkernel: steer\n", "", "GET /explain?dst=192.0.2.1%3A80&protocol=tcp"},
		{"explain udp [2001:db8::1]:53 --from 198.51.100.9", "", exitDone, "\nfile: it is what is in service\n", "", "GET /explain?client=198.51.100.9&dst=%5B2001%3Adb8%3A%3A1%5D%3A53&protocol=udp"},
		{"explain tcp 192.0.2.1:80", "/explain", exitFailed, "", "anyport: why not\n", "GET /explain?dst=192.0.2.1%3A80&protocol=tcp"},
		{"top --interval 1s --count 1", "/status", exitFailed, "", "anyport: why not\n", "GET /status?"},
		{"top --interval 100ms", "", exitDone, "ROUTE  LIVE  MAX", "", "GET /flows?limit=5000&sort=bytes"},
		{"top --interval 100ms --once", "", exitDone, "\ntcp    198.51.100.9:1  192.0.2.1:80", "", "GET /status?"},
		{"routes --interval 0s", "", exitDone, "ROUTE  LIVE  MAX  NEW/S  IN/S  OUT/S  ERRORS  DENIED  QUEUE  STATE\nweb       2    -", "", "GET /status?"},
		{"routes --wide --interval 1ms --sort bytes --route web", "", exitDone, "192.0.2.0/24  80\n", "", "GET /status?"},
		{"routes --json --interval 0s --limit 1", "", exitDone, `"new_per_second": 0`, "", "GET /status?"},
		{"routes --route x --interval 0s", "", exitFailed, "", `no route "x" is in service: there is web`, "GET /status?"},
		{"routes --sort age", "", exitUsage, "", `--sort: "age" is not one of name, live, new, bytes, errors`, ""},
		{"routes --limit -1", "", exitUsage, "", "--limit and --interval must be no less than 0", ""},
		{"routes", "/status", exitFailed, "", "anyport: why not\n", "GET /status?"},
		{"origins --interval 0s", "", exitDone, "ORIGIN  ROUTE  LIVE", "", "GET /status?"},
		{"origins --json --interval 0s", "", exitDone, `"origins": []`, "", "GET /status?"},
		{"origins --state sick", "", exitUsage, "", `--state: "sick" is not one of up, down`, ""},
		{"top --interval 1ms", "", exitUsage, "", "--interval must be at least 100ms", ""},
		{"top --count -1", "", exitUsage, "", "--count no less than 0", ""},
		{"upgrade", "/about", exitFailed, "", "anyport: why not\n", "GET /about?"},
	} {
		t.Run(test.args+test.refuse, func(t *testing.T) {
			f := serve(t)
			if test.refuse != "" {
				f.refuse[test.refuse] = "why not"
			}
			status, stdout, stderr := run(append(strings.Fields(test.args), "--socket", f.socket)...)
			if status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			if !strings.Contains(stdout, test.stdout) || test.status != exitDone && test.status != exitChanges && stdout != "" {
				t.Errorf("stdout %q, want %q", stdout, test.stdout)
			}
			expect(t, "stderr", stderr, test.stderr)
			asked := slices.ContainsFunc(f.asked, func(asked string) bool { return asked == test.asked || sameQuery(asked, test.asked) })
			if !asked && (test.asked != "" || len(f.asked) > 0) {
				t.Errorf("asked %q, want %q", f.asked, test.asked)
			}
		})
	}
}

// sameQuery compares requests without the order of their parameters.
func sameQuery(a, b string) bool {
	parts := func(s string) map[string]int {
		n := map[string]int{}
		for _, p := range strings.FieldsFunc(s, func(r rune) bool { return r == '?' || r == '&' }) {
			n[p]++
		}
		return n
	}
	return fmt.Sprint(parts(a)) == fmt.Sprint(parts(b))
}

// TestDrift: drift is a failure, after it is printed.
func TestDrift(t *testing.T) {
	f := serve(t)
	f.answers["/drift"] = admin.Drift{Lines: []string{"one entry is missing", "one is too many"}}
	status, stdout, stderr := run("status", "--drift", "--socket", f.socket)
	if status != exitFailed || stdout != "one entry is missing\none is too many\n" || !strings.Contains(stderr, "anyport reload") {
		t.Errorf("%d, %q, %q", status, stdout, stderr)
	}
	status, stdout, _ = run("status", "--drift", "--json", "--socket", f.socket)
	var drift admin.Drift
	if err := json.Unmarshal([]byte(stdout), &drift); status != exitFailed || err != nil || len(drift.Lines) != 2 {
		t.Errorf("%d, %q, %v", status, stdout, err)
	}
}

// TestNobodyAnswers: every command that asks says where it asked and what to look at.
func TestNobodyAnswers(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none.sock")
	for _, args := range []string{"status", "status --drift", "flows", "flows --json", "trace", "kill --route web", "top", "reload", "drain", "confirm", "upgrade", "explain tcp 192.0.2.1:80"} {
		status, stdout, stderr := run(append(strings.Fields(args), "--socket", socket)...)
		if status != exitFailed || stdout != "" && !strings.HasPrefix(args, "flows") || !strings.Contains(stderr, "anyport: no anyport answers on "+socket) || strings.Contains(stderr, "--help") {
			t.Errorf("%s: %d, %q, %q", args, status, stdout, stderr)
		}
	}
	if _, _, stderr := run("explain", "tcp", "192.0.2.1:80", "--socket", socket); !strings.Contains(stderr, "with -c FILE the answer is the file's") {
		t.Errorf("explain does not say what else there is: %q", stderr)
	}
}

// TestSocketOfTheFile: without --socket a command asks where the file says. A broken file that still
// names the socket keeps nobody from asking; one that does not is only trusted about itself.
func TestSocketOfTheFile(t *testing.T) {
	f := serve(t)
	dir := t.TempDir()
	named := fmt.Sprintf("[admin]\nsocket = %q\n", f.socket)
	for _, test := range []struct {
		name, text     string
		status         int
		stdout, stderr string
	}{
		{"good", named + goodFile, exitDone, "anyport     v1", ""},
		{"broken, with the socket", named + badFile, exitDone, "anyport     v1", "the file is broken, the anyport on " + f.socket + " is asked all the same"},
		{"no socket", "[admin]\nsocket = \"\"\n" + goodFile, exitFailed, "", `the file has admin.socket = "": this anyport cannot be asked`},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, dir, "anyport.toml", test.text)
			status, stdout, stderr := run("status", "-c", path)
			if status != test.status || !strings.Contains(stdout, test.stdout) {
				t.Errorf("%d, %q, want %d, %q", status, stdout, test.status, test.stdout)
			}
			expect(t, "stderr", stderr, test.stderr)
		})
	}
}

// TestCheckServes: the anyport on the default socket is asked for a broken file only if it serves that
// file.
func TestCheckServes(t *testing.T) {
	f := serve(t)
	dir := t.TempDir()
	path := write(t, dir, "anyport.toml", badFile)
	link := filepath.Join(dir, "link.toml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(cwd, path)
	if err != nil {
		t.Fatal(err)
	}
	for served, want := range map[string]string{
		path: "", link: "", relative: "", filepath.Join(dir, ".", "anyport.toml"): "",
		"/etc/anyport/anyport.toml":        "serves /etc/anyport/anyport.toml: name the socket with --socket",
		filepath.Join(dir, "another.toml"): "name the socket with --socket",
	} {
		f.mu.Lock()
		f.answers["/about"] = admin.About{PID: os.Getpid(), Path: served}
		f.mu.Unlock()
		err := checkServes(t.Context(), admin.Client{Socket: f.socket}, path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("it serves %s: %v, want %q", served, err, want)
		}
	}
	if err := checkServes(t.Context(), admin.Client{Socket: dir + "/none"}, path); err == nil || !strings.Contains(err.Error(), "--socket does") {
		t.Errorf("of nobody: %v", err)
	}
}

// TestReloadLoadsForPeers: the programs that ask peers are loaded if the process says that it cannot ask them, and not
// for another refusal whose text names them.
func TestReloadLoadsForPeers(t *testing.T) {
	f, loaded := serve(t), 0
	before := preloadFleet
	t.Cleanup(func() { preloadFleet = before })
	preloadFleet = func(uint32) (*steering.Preloaded, error) {
		loaded++
		return nil, errors.New("no kernel")
	}
	f.answers["/about"] = admin.About{}
	f.refuse["/reload"] = `a.toml:3: fleet.peers: "x" is not an address`
	for word, want := range map[string]int{"": 0, "no_route": 0, "peers": 1} {
		f.word, loaded = word, 0
		if status, _, stderr := run("reload", "--socket", f.socket); status != exitFailed || !strings.HasPrefix(stderr, "anyport: "+f.refuse["/reload"]) {
			t.Errorf("%q: %d, %q", word, status, stderr)
		}
		if _, err := preloadPeers(t.Context(), admin.Client{Socket: f.socket}, &admin.About{}); (err != nil) != (want > 0) {
			t.Errorf("%q: before an upgrade: %v", word, err)
		}
		if loaded != 2*want {
			t.Errorf("%q: loaded %d times for a reload and an upgrade, want %d", word, loaded, 2*want)
		}
	}
}

// TestUnloadRefuses: nothing is pulled away below a running anyport.
func TestUnloadRefuses(t *testing.T) {
	f := serve(t)
	path := write(t, t.TempDir(), "anyport.toml", fmt.Sprintf("[admin]\nsocket = %q\n", f.socket)+goodFile)
	status, stdout, stderr := run("unload", "-c", path)
	if status != exitFailed || stdout != "" || !strings.Contains(stderr, fmt.Sprintf("anyport is running, pid %d: stop it first", os.Getpid())) {
		t.Errorf("%d, %q, %q", status, stdout, stderr)
	}
	f.refuse["/about"] = "why not"
	if status, _, stderr := run("unload", "-c", path); status != exitFailed || !strings.Contains(stderr, "why not") {
		t.Errorf("beside one that does not say: %d, %q", status, stderr)
	}
	f.silent = true
	if status, _, stderr := run("unload", "-c", path); status != exitFailed || !strings.Contains(stderr, "no anyport answers on "+f.socket) {
		t.Errorf("beside one that breaks off: %d, %q", status, stderr)
	}
}

// TestCheckNotes: a valid file that may surprise is said so on stderr, and is still valid.
func TestCheckNotes(t *testing.T) {
	for name, text := range map[string]string{
		"a route that takes nothing": goodFile + "[route.all]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.7\"]\naction = \"refuse\"\n[route.never]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.7\"]\nports = [80]\naction = \"pass\"\n",
		"an ordinary file":           goodFile,
	} {
		status, stdout, stderr := run("check", "-c", write(t, t.TempDir(), "a.toml", text))
		if status != exitDone || !strings.Contains(stdout, ": ok, ") {
			t.Errorf("%s: %d, %q, %q", name, status, stdout, stderr)
		}
		for line := range strings.Lines(stderr) {
			if !strings.HasPrefix(line, "anyport: note: ") {
				t.Errorf("%s: stderr has %q", name, line)
			}
		}
	}
}

// TestCheckFleet: the files that [fleet] names must be there, and no others than their owner may open them.
func TestCheckFleet(t *testing.T) {
	dir := t.TempDir()
	key := write(t, dir, "fleet.key", "MDEyMzQ1Njc4OWFiY2RlZg==\n")
	peers := "[fleet]\npeers = [\"10.9.0.2\"]\ndevice = \"eth1\"\nkey = %q\n" + goodFile
	source := "[fleet]\nsource = \"https://tables.example.com/a.toml\"\nsource_ca = %q\n"
	for name, test := range map[string]struct{ text, want string }{
		"a key":           {fmt.Sprintf(peers, key), ""},
		"no key":          {fmt.Sprintf(peers, key+"2"), "[fleet] key: "},
		"a file of a key": {fmt.Sprintf(peers, dir), "[fleet] key: "},
		"no CA":           {fmt.Sprintf(source, dir+"/ca.pem"), "[fleet] source_ca: "},
	} {
		if err := os.Chmod(key, 0o600); err != nil {
			t.Fatal(err)
		}
		status, _, stderr := run("check", "-c", write(t, t.TempDir(), "a.toml", test.text))
		if (status == exitDone) != (test.want == "") || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: %d, %q, want %q", name, status, stderr, test.want)
		}
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := run("check", "-c", write(t, dir, "a.toml", fmt.Sprintf(peers, key))); status == exitDone || !strings.Contains(stderr, "chmod 600 "+key) {
		t.Errorf("others may open it: %d, %q", status, stderr)
	}
}

// TestCheckStdin: "-" is stdin, whose mistakes have their lines.
func TestCheckStdin(t *testing.T) {
	for _, args := range [][]string{{"check", "-"}, {"check", "-c", "-"}, {"explain", "-c", "-", "tcp", "192.0.2.1:80"}} {
		for text, want := range map[string]string{goodFile: "", badFile: "stdin:"} {
			root := newRoot()
			var out bytes.Buffer
			root.SetArgs(args)
			root.SetOut(&out)
			root.SetErr(&out)
			root.SetIn(strings.NewReader(text))
			err := root.Execute()
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", args, err, want)
			}
			if err == nil && args[0] == "check" && !strings.HasPrefix(out.String(), "stdin: ok, 1 route, ") {
				t.Errorf("%s: %q", args, out.String())
			}
		}
	}
}

// TestCompleteProtocol: the shell is offered the protocols for the first word and nothing after it.
func TestCompleteProtocol(t *testing.T) {
	status, stdout, _ := run("__complete", "explain", "")
	if status != exitDone || !strings.HasPrefix(stdout, "tcp\nudp\n") {
		t.Errorf("%d, %q", status, stdout)
	}
	if _, stdout, _ := run("__complete", "explain", "tcp", ""); strings.Contains(stdout, "udp") {
		t.Errorf("for the second word: %q", stdout)
	}
}

// TestCompleteNames: the shell is offered what the running anyport has, and nothing if none answers.
func TestCompleteNames(t *testing.T) {
	f := serve(t)
	f.answers["/status"] = admin.Status{Routes: []admin.RouteStatus{{Name: "web", Origins: []admin.OriginStatus{{Address: "10.0.0.5:80"}}}, {Name: "dns"}}}
	for args, want := range map[string]string{
		"flows --socket " + f.socket + " --route":      "web\ndns\n",
		"kill --socket " + f.socket + " --route":       "web\ndns\n",
		"drain --socket " + f.socket + " --route":      "web\ndns\n",
		"origin drain --socket " + f.socket:            "web/10.0.0.5:80\n",
		"routes --socket " + f.socket + "none --route": ":4\n",
		"flows --state":   "naming\nwaiting\n",
		"origins --state": "up\ndown\n",
		"origin drain --socket " + f.socket + " web/x ": ":4\n",
	} {
		status, stdout, _ := run(append(append([]string{"__complete"}, strings.Fields(args)...), "")...)
		if status != exitDone || !strings.HasPrefix(stdout, want) {
			t.Errorf("%s: %d, %q, want %q", args, status, stdout, want)
		}
	}
}

// TestStop: who types what a service manager does is told what to type.
func TestStop(t *testing.T) {
	for command, want := range map[string]string{"stop": "send SIGTERM to the pid", "start": "anyport run", "restart": "anyport reload"} {
		if status, _, stderr := run(command); status != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %q", command, status, stderr)
		}
	}
}

// TestDryRun: the exit status says whether a reload would change anything.
func TestDryRun(t *testing.T) {
	f := serve(t)
	for want, reloaded := range map[int]admin.Reloaded{
		exitDone:    {DryRun: true},
		exitChanges: {DryRun: true, Routes: []admin.RouteChange{{}}},
	} {
		f.answers["/reload"] = reloaded
		for _, flags := range []string{"", " --json"} {
			if status, _, stderr := run(append(strings.Fields("reload --dry-run"+flags), "--socket", f.socket)...); status != want || stderr != "" {
				t.Errorf("%+v%s: %d, %q, want %d", reloaded, flags, status, stderr, want)
			}
		}
	}
	if status, _, _ := run("reload", "--socket", f.socket); status != exitDone {
		t.Errorf("a reload: %d", status)
	}
}

// TestSayDoesNotHang: a command whose stderr nobody reads ends all the same.
func TestSayDoesNotHang(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	done := make(chan struct{})
	go func() { say(stuckWriter(release), "line"); close(done) }() // ended by sayTimeout
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it hangs")
	}
}

type stuckWriter chan struct{}

func (w stuckWriter) Write(b []byte) (int, error) { <-w; return len(b), nil }

func TestPrefixed(t *testing.T) {
	problems := config.Problems{
		{File: "a.toml", Line: 3, Column: 1, Key: "x", Text: "one"},
		{File: "a.toml", Line: 4, Column: 1, Key: "y", Text: "two"},
	}
	text := prefixed(problems)
	n := 0
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "anyport: a.toml:"):
			n++
		case !strings.HasPrefix(line, " ") && strings.TrimSpace(line) != "":
			t.Errorf("a line %q belongs to no problem", line)
		}
	}
	if n != 2 {
		t.Errorf("%d problems in\n%s", n, text)
	}
	if got := prefixed(fmt.Errorf("one\n  more of it\ntwo")); got != "anyport: one\n  more of it\nanyport: two" {
		t.Errorf("%q", got)
	}
	if got := prefixed(errors.New("open \x1b[2Ja: no such file")); got != `anyport: open \x1b[2Ja: no such file` {
		t.Errorf("a terminal would obey %q", got)
	}
}
