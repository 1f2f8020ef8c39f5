package integration

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// tableRig is some edges, each with a link to the center, which has etcd, the origins and the clients.
type tableRig struct {
	center *host
	edges  []*host
	etcd   *etcdServer
	states []string // state directories
}

// fleetOrigin is an address of the center that each edge reaches.
const fleetOrigin = "10.9.0.1"

// newTableRig makes the hosts, and starts etcd.
func newTableRig(t *testing.T, edges int, etcdArgs ...string) *tableRig {
	t.Helper()
	r := &tableRig{center: newHost(t, "center")}
	for range edges {
		r.addEdge(t)
	}
	r.etcd = r.center.startEtcd(t, fleetOrigin, etcdArgs...)
	return r
}

// addEdge makes one more host, with a state directory.
func (r *tableRig) addEdge(t *testing.T) {
	t.Helper()
	n := len(r.edges)
	edge := newHost(t, fmt.Sprint("edge", n+1))
	join(t, edge.port("center0", fmt.Sprintf("10.1.%d.1/24", n)), r.center.port(fmt.Sprint("edge", n), fmt.Sprintf("10.1.%d.2/24", n), fleetOrigin+"/32"))
	edge.route(t, fleetOrigin+"/32", fmt.Sprintf("10.1.%d.2", n))
	r.edges, r.states = append(r.edges, edge), append(r.states, t.TempDir())
}

// runAs is what starts anyport on an edge, with its own state directory.
func (r *tableRig) runAs(n int) func(file string) *exec.Cmd {
	return func(file string) *exec.Cmd {
		return exec.Command(program, "run", "-c", file, "--state", r.states[n])
	}
}

// launch starts anyport on an edge with further keys of [admin], and its own state directory.
func (r *tableRig) launch(t *testing.T, n int, admin string) *proxy {
	t.Helper()
	p := r.edges[n].launchAs(t, r.runAs(n), admin+r.etcd.hostFile(r.edges[n].Name))
	p.expect(t, "msg=serving")
	return p
}

// fleetTable is a table whose two routes lead to one port of the center.
func fleetTable(port int) string {
	route := func(name, dst string) string {
		return fmt.Sprintf("[route.%s]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [80]\norigins = [\"%s:%d\"]\n", name, dst, fleetOrigin, port)
	}
	return route("a", "192.0.2.0/25") + route("b", "192.0.2.128/25")
}

// takes waits until a host reports that it serves a table.
func (r *tableRig) takes(t *testing.T, n int, hash string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s serves table %.12s", r.edges[n].Name, hash), func() bool {
		report := r.etcd.report(t, r.edges[n].Name)
		return report.Table == hash && report.Serial == r.etcd.serial && report.LastError == ""
	})
}

// asks is what a new conn on an edge's own host gets.
func (r *tableRig) asks(n int, dst string) string {
	return r.edges[n].ask("tcp", netip.MustParseAddrPort(dst+":80"), "")
}

// TestFleetTableWaitsForTrial: a table that is pushed during a trial of `reload --share` waits for its end, whichever
// of the two sides then serves all clients.
func TestFleetTableWaitsForTrial(t *testing.T) {
	t.Parallel()
	r := newTableRig(t, 1)
	for n := range 3 {
		r.center.both(t, fmt.Sprintf("%s:%d", fleetOrigin, 4000+n), named(fmt.Sprint(n)))
	}
	p := r.launch(t, 0, "")
	r.takes(t, 0, r.etcd.push(t, fleetTable(4000)))
	for n, end := range []string{"--back", "--all"} {
		p.reloadIs(t, 0, "serves 50% of the clients", "--share", "50%")
		hash := r.etcd.push(t, fleetTable(4001+n))
		p.expect(t, "a table of the source waits for the end of the trial")
		eventually(t, "status says which table is wanted", func() bool {
			var s struct {
				Fleet struct{ Wanted, Table string }
			}
			if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
				t.Fatal(err)
			}
			return s.Fleet.Wanted == hash && s.Fleet.Table != hash
		})
		if got := r.asks(0, "192.0.2.7"); got != fmt.Sprint(n) {
			t.Errorf("during the trial a conn got %q, want %d", got, n)
		}
		p.reloadIs(t, 0, "", end)
		r.takes(t, 0, hash)
		if got := r.asks(0, "192.0.2.207"); got != fmt.Sprint(n+1) || p.trialStatus(t) != nil {
			t.Errorf("after %s a conn got %q, want %d", end, got, n+1)
		}
	}
}

// TestFleetTables pushes many tables while each edge takes conns: none fails, no conn gets an older table than one
// before it, and in the end every host is on the last one.
func TestFleetTables(t *testing.T) {
	t.Parallel()
	tables := soak(20, 100)
	r := newTableRig(t, 2)
	for n := range tables {
		r.center.both(t, fmt.Sprintf("%s:%d", fleetOrigin, 4000+n), named(fmt.Sprint(n)))
	}
	for n := range r.edges {
		r.launch(t, n, "")
	}
	first := r.etcd.push(t, fleetTable(4000))
	for n := range r.edges {
		r.takes(t, n, first)
	}
	pushed := make(chan struct{})
	var load sync.WaitGroup
	for n := range r.edges {
		load.Go(func() { // ends after the last table
			last, conns := 0, 0
			for open := true; open; conns++ {
				select {
				case <-pushed:
					open = false
				default:
				}
				got := r.asks(n, []string{"192.0.2.7", "192.0.2.207"}[conns%2])
				table, err := strconv.Atoi(got)
				if err != nil || table < last {
					t.Errorf("%s: conn %d got %q after table %d", r.edges[n].Name, conns, got, last)
					return
				}
				last = table
			}
			t.Logf("%s: %d conns, the last by table %d", r.edges[n].Name, conns, last)
		})
	}
	var hash string
	for n := 1; n < tables; n++ {
		hash = r.etcd.push(t, fleetTable(4000+n))
	}
	for n := range r.edges {
		r.takes(t, n, hash)
		for _, dst := range []string{"192.0.2.7", "192.0.2.207"} {
			if got := r.asks(n, dst); got != fmt.Sprint(tables-1) {
				t.Errorf("%s serves table %q in the end", r.edges[n].Name, got)
			}
		}
	}
	close(pushed)
	load.Wait()
}

// TestFleetSourceAway: a host without a table is not ready and refuses nothing; with one it serves on, whatever becomes
// of etcd, boots with it, and goes on when etcd is back.
func TestFleetSourceAway(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newTableRig(t, 1)
	for n := range 3 {
		r.center.both(t, fmt.Sprintf("%s:%d", fleetOrigin, 4000+n), named(fmt.Sprint(n)))
	}
	r.etcd.kill(t)
	p := r.launch(t, 0, "http = \"127.0.0.1:9765\"\n")
	p.expect(t, "cannot reach the source")
	if answer, text := r.edges[0].fetch(t, "GET", "/readyz"); answer.StatusCode != 503 || !strings.Contains(text, "not given a table yet") {
		t.Errorf("ready without a table: %s %s", answer.Status, text)
	}
	own := r.edges[0].listen(t, "10.1.0.1:81")
	own.Close() // nothing of the host's own is refused
	r.etcd.start(t)
	r.takes(t, 0, r.etcd.push(t, fleetTable(4000)))
	if answer, text := r.edges[0].fetch(t, "GET", "/readyz"); answer.StatusCode != 200 {
		t.Errorf("not ready with a table: %s %s", answer.Status, text)
	}
	check := func(when, want string) {
		t.Helper()
		if got := r.asks(0, "192.0.2.7"); got != want {
			t.Errorf("%s: a conn got %q, want %q", when, got, want)
		}
	}
	check("with the first table", "0")
	r.etcd.kill(t)
	eventually(t, "status says that the source is away", func() bool {
		return strings.Contains(anyport(t, "status", "--socket", p.socket).stdout, "SOURCE") &&
			strings.Contains(string(p.statusJSON(t)), `"up": false`)
	})
	check("while etcd is away", "0")
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Errorf("a reload while etcd is away: %+v", got)
	}
	check("after a reload", "0")
	p.signal(t, syscall.SIGTERM)
	p.wait(t)
	p.process = p.restartAs(t, r.runAs(0))
	check("started with the table of the disk", "0")
	r.etcd.start(t)
	second := r.etcd.push(t, fleetTable(4001))
	r.takes(t, 0, second)
	check("after etcd came back", "1")
	r.etcd.compact(t)
	r.takes(t, 0, r.etcd.push(t, fleetTable(4002)))
	check("after a compaction", "2")
	newFamily(t, p).upgrade(t)
	check("after an upgrade", "2")
	r.takes(t, 0, hashOf(fleetTable(4002)))
}

// between is the text after one mark and before another.
func between(text, after, before string) string {
	_, text, _ = strings.Cut(text, after)
	text, _, _ = strings.Cut(text, before)
	return text
}

// TestFleetRefused: a table that a host cannot take leaves the one before in service, and is reported; one that is larger
// than a part is taken.
func TestFleetRefused(t *testing.T) {
	t.Parallel()
	r := newTableRig(t, 1)
	r.center.both(t, fleetOrigin+":4000", named("good"))
	p := r.launch(t, 0, "")
	good := fleetTable(4000)
	r.takes(t, 0, r.etcd.push(t, good))
	for name, c := range map[string]struct{ table, want string }{
		"not TOML":                  {"[route", "not TOML"},
		"a host's own table":        {"[admin]\n" + good, "each host has its own"},
		"covers this host":          {strings.Replace(good, "192.0.2.0/25", "10.1.0.0/24", 1), "10.1.0."},
		"no routes":                 {"[defaults]\nidle_timeout = \"1m\"\n", "route: is missing"},
		"origin in a prefix":        {good + "[route.c]\nprotocol = \"tcp\"\nprefixes = [\"10.9.0.0/24\"]\norigins = [\"10.9.0.1\"]\n", "10.9.0."},
		"an address that is a loop": {strings.Replace(good, fleetOrigin+":4000", "192.0.2.9:80", 1), "192.0.2.9"},
	} {
		hash := r.etcd.push(t, c.table)
		eventually(t, name+" is reported", func() bool {
			report := r.etcd.report(t, "edge1")
			return report.ErrorTable == hash && report.Serial == r.etcd.serial && strings.Contains(report.LastError, c.want) && report.Table == hashOf(good) && report.Ready
		})
		if got := r.asks(0, "192.0.2.7"); got != "good" {
			t.Errorf("%s: a conn got %q", name, got)
		}
		if got := anyport(t, "status", "--socket", p.socket).stdout; !strings.Contains(got, "REFUSED") {
			t.Errorf("%s: status:\n%s", name, got)
		}
	}
	r.takes(t, 0, r.etcd.push(t, good+strings.Repeat("# a long comment of no meaning\n", 60_000)))
	if got := anyport(t, "reload", "--dry-run", "--socket", p.socket); got.status != 0 {
		t.Errorf("a dry run that changes nothing: %+v", got)
	}
	if got := anyport(t, "explain", "--socket", p.socket, "tcp", "192.0.2.7:80"); !strings.Contains(got.stdout, "route: a") || !strings.Contains(got.stdout, "it is what is in service") {
		t.Errorf("%+v", got)
	}
}

// TestFleetTableKills: a host that dies of a table twice serves the one before, says so, and takes the next one.
func TestFleetTableKills(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newTableRig(t, 1)
	r.center.both(t, fleetOrigin+":4000", named("good"))
	run := faulty(t, "STATE_DIRECTORY="+r.states[0])
	p := r.edges[0].launchAs(t, run, r.etcd.hostFile("edge1"))
	p.expect(t, "msg=serving")
	good := fleetTable(4000)
	r.takes(t, 0, r.etcd.push(t, good))
	eventually(t, "the table lasts", func() bool { return p.guardStatus(t).Lasted != "" })
	bad := r.etcd.push(t, strings.ReplaceAll(good, "route.a", "route.panics"))
	p.wait(t)
	second := r.edges[0].spawn(t, run(p.file))
	second.wait(t)
	second.expect(t, "panic: a key that panics")
	p.process = r.edges[0].spawn(t, run(p.file))
	p.expect(t, "table refused", "anyport has died with this table")
	eventually(t, "the host reports why it has not taken the table", func() bool {
		report := r.etcd.report(t, "edge1")
		return report.ErrorTable == bad && strings.Contains(report.LastError, "has died") && report.Table == hashOf(good)
	})
	if got := r.asks(0, "192.0.2.7"); got != "good" {
		t.Errorf("a conn got %q", got)
	}
	r.takes(t, 0, r.etcd.push(t, good+"# mended\n"))
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
