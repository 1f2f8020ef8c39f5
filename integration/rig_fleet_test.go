package integration

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"
)

// fleetRig is an etcd, some edges that take their routes from there, a client of each edge, and one
// origin of all.
type fleetRig struct {
	store, origin *host
	etcd          *process
	data          string // of the etcd
	edges         []*fleetEdge
}

// fleetEdge is a host of the fleet.
type fleetEdge struct {
	*proxy
	name   string
	number int
	host   *host
	client *host // which reaches all else through this edge
}

// fleetOrigin is the origin's address, for all edges.
const fleetOrigin = "10.0.0.5"

// newFleetRig starts the etcd. Edges have to be started.
func newFleetRig(t *testing.T, edges int) *fleetRig {
	t.Helper()
	r := &fleetRig{store: newHost(t, "store"), origin: newHost(t, "origin"), data: t.TempDir()}
	r.origin.local(t, fleetOrigin+"/32")
	for i := 1; i <= edges; i++ {
		e := &fleetEdge{name: fmt.Sprint("edge", i), number: i}
		e.host, e.client = newHost(t, e.name), newHost(t, fmt.Sprint("client", i))
		join(t, r.store.port(e.name, fmt.Sprintf("10.9.%d.1/24", i)), e.host.port("store0", fmt.Sprintf("10.9.%d.2/24", i)))
		join(t, r.origin.port(e.name, fmt.Sprintf("10.1.%d.1/24", i)), e.host.port("origin0", fmt.Sprintf("10.1.%d.2/24", i)))
		join(t, e.client.port("edge0", fmt.Sprintf("10.2.%d.2/24", i)), e.host.port("client0", fmt.Sprintf("10.2.%d.1/24", i)))
		e.client.route(t, "0.0.0.0/0", fmt.Sprintf("10.2.%d.1", i))
		e.host.route(t, fleetOrigin+"/32", fmt.Sprintf("10.1.%d.1", i))
		r.edges = append(r.edges, e)
	}
	r.startStore(t)
	return r
}

// startStore starts the etcd, with the data that are there.
func (r *fleetRig) startStore(t *testing.T) {
	t.Helper()
	r.etcd = r.store.spawn(t, exec.Command("etcd", "--data-dir", r.data, "--log-level", "error", "--name", "one",
		"--listen-client-urls", "http://0.0.0.0:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
		"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
		"--initial-cluster", "one=http://127.0.0.1:2380"))
	eventually(t, "the etcd answers", func() bool {
		conn, err := r.store.tryDial("tcp", "", "127.0.0.1:2379")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// startEdge starts the anyport of an edge, whose file has the fleet and these further tables.
func (r *fleetRig) startEdge(t *testing.T, e *fleetEdge, tables string) {
	t.Helper()
	state := t.TempDir()
	run := func(file string) *exec.Cmd {
		cmd := anyportRun(file)
		cmd.Env = append(cmd.Environ(), "STATE_DIRECTORY="+state)
		return cmd
	}
	e.proxy = e.host.launchAs(t, run, fmt.Sprintf("[fleet]\nsource = \"etcd://10.9.%d.1:2379/test/fleet\"\nhost = %q\n%s", e.number, e.name, tables))
}

// file writes the file of a push.
func (r *fleetRig) file(t *testing.T, routes string) string {
	t.Helper()
	return inFile(t, "[fleet]\nsource = \"etcd://127.0.0.1:2379/test/fleet\"\n"+routes)
}

// push starts a push of a file on the host of the etcd.
func (r *fleetRig) push(t *testing.T, file string, args ...string) *process {
	t.Helper()
	return r.store.spawn(t, exec.Command(program, append([]string{"push", "-c", file}, args...)...))
}

// fleetReport is what the tests read of `anyport fleet --json`.
type fleetReport struct {
	Table, Previous string
	Push            *struct{ Hosts []string }
	Differ          int
	Hosts           []struct {
		Host, Table, Wanted string
		Ready               bool
		LastError           string `json:"last_error"`
		Differs             []string
	}
}

// fleet asks the etcd.
func (r *fleetRig) fleet(t *testing.T) (f fleetReport) {
	t.Helper()
	text := r.store.output(t, program, "fleet", "--json", "-c", r.file(t, plainRoute("80")))
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// serving counts the hosts that report a table.
func (f fleetReport) serving(table string) (n int) {
	for _, h := range f.Hosts {
		if h.Table == table {
			n++
		}
	}
	return n
}

// plainRoute is a table of one route, to a port of the origin.
func plainRoute(port string) string {
	return fmt.Sprintf("[route.web]\nprotocol = [\"tcp\", \"udp\"]\nprefixes = [\"%s\"]\nports = [80]\norigins = [\"%s:%s\"]\n", servedV4, fleetOrigin, port)
}

// fleetLoad is a client that asks through its edge until the test ends.
type fleetLoad struct{ asked, failed atomic.Int64 }

// startLoad asks some times a second for the answer of the origin.
func (e *fleetEdge) startLoad(t *testing.T) *fleetLoad {
	t.Helper()
	l, stop := &fleetLoad{}, make(chan struct{})
	done := make(chan struct{})
	t.Cleanup(func() { close(stop); <-done })
	go func() { // ends with the test
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if e.client.ask("tcp", netip.MustParseAddrPort(dstV4+":80"), "load") != "origin" {
				l.failed.Add(1)
			}
			l.asked.Add(1)
		}
	}()
	return l
}
