package integration

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"anyport/integration/lab"
)

// peerRig is several edges that serve the same prefixes, behind a router that hashes conns over them:
//
//	client ── router ─┬─ edge 1 ─┐
//	                  ├─ edge 2 ─┼─ origin
//	                  └─ edge 3 ─┘
//
// The edges also meet on a backplane, a bridge. The origin has one address, and a link to each edge.
type peerRig struct {
	client, router, backplane, origin *host

	edges []*peerEdge
	seeds int    // how often the router's hash was changed
	key   string // the file with what peers prove themselves with; "": there is none

	backplaneV6 bool   // the peers know each other by IPv6 addresses
	routes      string // of each edge; "": one for each family, to the origin
}

// peerEdge is one host of a fleet. Its number is 1, 2, 3 and so on.
type peerEdge struct {
	*host
	n     int
	proxy *proxy // nil: none was started
}

// newPeerRig makes the hosts and links. The router does not use any edge yet.
func newPeerRig(t *testing.T, edges int) *peerRig {
	t.Helper()
	if olderKernel(t, 5, 17) {
		t.Skip("this kernel has no bpf_loop")
	}
	f := &peerRig{client: newHost(t, "client"), router: newHost(t, "router"), backplane: newHost(t, "backplane"), origin: newHost(t, "origin")}
	join(t, f.client.port("router0", clientV4+"/24", clientV6+"/64"), f.router.port("client0", edgeV4+"/24", edgeV6+"/64"))
	f.client.route(t, "0.0.0.0/0", edgeV4)
	f.client.route(t, "::/0", edgeV6)
	// Policy 3 hashes the fields that are named: addresses, protocol, ports. Policy 1 would take the hash of the
	// client's socket, which a packet keeps on its way between namespaces, and which no seed changes.
	f.router.sysctl(t, map[string]string{
		"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1",
		"net/ipv4/fib_multipath_hash_policy": "3", "net/ipv6/fib_multipath_hash_policy": "3",
		"net/ipv4/fib_multipath_hash_fields": "55", "net/ipv6/fib_multipath_hash_fields": "55",
	})
	f.origin.output(t, "ip", "address", "add", originV4+"/32", "dev", "lo")
	f.origin.output(t, "ip", "address", "add", originV6+"/128", "dev", "lo")
	f.backplane.output(t, "ip", "link", "add", "bridge0", "up", "type", "bridge")
	for n := range edges {
		f.edges = append(f.edges, f.newEdge(t, n+1))
	}
	return f
}

// newEdge makes one more edge and its links to the router, the backplane and the origin.
func (f *peerRig) newEdge(t *testing.T, n int) *peerEdge {
	t.Helper()
	e := &peerEdge{host: newHost(t, fmt.Sprint("edge", n)), n: n}
	device := fmt.Sprint("edge", n)
	join(t, e.port("router0", e.uplink("2/24"), e.uplink6("2/64")), f.router.port(device, e.uplink("1/24"), e.uplink6("1/64")))
	join(t, e.port("origin0", e.inside("1/24"), e.inside6("1/64")), f.origin.port(device, e.inside("5/24"), e.inside6("5/64")))
	back := e.port("back0", e.backplane()+"/24", e.backplane6()+"/64")
	if err := lab.Join(back, f.backplane.port(device)); err != nil {
		t.Fatal(err)
	}
	awaitAddresses(t, back)
	f.backplane.output(t, "ip", "link", "set", device, "master", "bridge0")
	e.route(t, "0.0.0.0/0", e.uplink("1"))
	e.route(t, "::/0", e.uplink6("1"))
	e.route(t, originV4+"/32", e.inside("5"))
	e.route(t, originV6+"/128", e.inside6("5"))
	return e
}

// The addresses of an edge: towards the router, the origin and the other edges.
func (e *peerEdge) uplink(host string) string  { return fmt.Sprintf("198.18.%d.%s", e.n, host) }
func (e *peerEdge) uplink6(host string) string { return fmt.Sprintf("2001:db8:a%d::%s", e.n, host) }
func (e *peerEdge) inside(host string) string  { return fmt.Sprintf("10.0.%d.%s", e.n, host) }
func (e *peerEdge) inside6(host string) string { return fmt.Sprintf("fd00:a%d::%s", e.n, host) }
func (e *peerEdge) backplane() string          { return fmt.Sprintf("10.9.0.%d", e.n) }
func (e *peerEdge) backplane6() string         { return fmt.Sprintf("fd00:9::%d", e.n) }

// hash has the router spread conns over these edges.
func (f *peerRig) hash(t *testing.T, over ...*peerEdge) {
	t.Helper()
	four, six := []string{"route", "replace", servedV4}, []string{"-6", "route", "replace", servedV6}
	for _, e := range over {
		four = append(four, "nexthop", "via", e.uplink("2"))
		six = append(six, "nexthop", "via", e.uplink6("2"))
	}
	f.router.output(t, "ip", four...)
	f.router.output(t, "ip", six...)
}

// rehash has the router spread conns in another way: by another seed, as after a reboot, where the kernel
// has one (Linux 6.11), and else by another order of the edges.
func (f *peerRig) rehash(t *testing.T, over ...*peerEdge) {
	t.Helper()
	f.seeds++
	if _, err := os.Stat("/proc/sys/net/ipv4/fib_multipath_hash_seed"); err == nil {
		f.router.sysctl(t, map[string]string{"net/ipv4/fib_multipath_hash_seed": fmt.Sprint(f.seeds * 7919)})
		return
	}
	first := f.seeds % len(over)
	f.hash(t, append(over[first:len(over):len(over)], over[:first]...)...)
}

// serve starts anyport on an edge.
func (f *peerRig) serve(t *testing.T, e *peerEdge) {
	t.Helper()
	e.proxy = e.serveWith(t, f.file(e))
}

// file is the configuration of an edge, with all others as its peers. If the fleet has no key, the edges do
// not know each other.
func (f *peerRig) file(e *peerEdge) string { return f.fileWith(e, f.edges) }

// fileWith is file with only these peers. The edge may be among them.
func (f *peerRig) fileWith(e *peerEdge, others []*peerEdge) string {
	routes := fmt.Sprintf("[route.v4]\nprotocol = [\"tcp\", \"udp\"]\nprefixes = [%q]\norigins = [%q]\n"+
		"[route.v6]\nprotocol = [\"tcp\", \"udp\"]\nprefixes = [%q]\norigins = [\"[%s]\"]\n", servedV4, originV4, servedV6, originV6)
	if f.routes != "" {
		routes = f.routes
	}
	if f.key == "" {
		return routes
	}
	var peers []string
	for _, other := range others {
		peers = append(peers, fmt.Sprintf("%q", f.backplaneOf(other)))
	}
	return fmt.Sprintf("[fleet]\npeers = [%s]\ndevice = \"back0\"\nkey = %q\n", strings.Join(peers, ", "), f.key) + routes
}

// backplaneOf is the address that the peers of an edge know.
func (f *peerRig) backplaneOf(e *peerEdge) string {
	if f.backplaneV6 {
		return e.backplane6()
	}
	return e.backplane()
}

// newPeerKey writes a key.
func newPeerKey(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fleet.key")
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(secret)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// only are the edges with these numbers.
func (f *peerRig) only(numbers ...int) (some []*peerEdge) {
	for _, n := range numbers {
		some = append(some, f.edges[n-1])
	}
	return some
}

// without are all edges but one.
func (f *peerRig) without(number int) []*peerEdge {
	return slices.DeleteFunc(slices.Clone(f.edges), func(e *peerEdge) bool { return e.n == number })
}

// conns is how many conns an edge has.
func (e *peerEdge) conns(t *testing.T) (n int) {
	t.Helper()
	for _, r := range e.proxy.status(t).Routes {
		n += r.ConnsActive
	}
	return n
}

// clients are those of the conns that an edge has.
func (e *peerEdge) clients(t *testing.T) (all []string) {
	t.Helper()
	var listed struct{ Flows []struct{ Client string } }
	got := anyport(t, "flows", "--json", "--socket", e.proxy.socket)
	if err := json.Unmarshal([]byte(got.stdout), &listed); err != nil {
		t.Fatalf("flows: %v: %s", err, got.stderr)
	}
	for _, flow := range listed.Flows {
		all = append(all, flow.Client)
	}
	return all
}

// reload puts another file into service on an edge.
func (e *peerEdge) reload(t *testing.T, toml string) {
	t.Helper()
	e.proxy.write(t, toml)
	if got := anyport(t, "reload", "--socket", e.proxy.socket); got.status != 0 {
		t.Fatalf("reload: %+v", got)
	}
}

// says runs a command of anyport on the edge, and returns what it printed, whatever its exit status.
func (e *peerEdge) says(args ...string) string {
	var out []byte
	e.do(func() { out, _ = exec.Command(program, args...).CombinedOutput() })
	return string(out)
}

// awaitPeers waits until each edge with a running anyport has heard of that number of others.
func (f *peerRig) awaitPeers(t *testing.T, others int) {
	t.Helper()
	for _, e := range f.edges {
		if e.proxy == nil {
			continue
		}
		eventually(t, fmt.Sprint(e.Name, " hears of its peers"), func() bool {
			alive := 0
			for _, p := range e.proxy.status(t).Peers.Peers {
				if p.Alive {
					alive++
				}
			}
			return alive == others
		})
	}
}

// expectTaken checks that some edge has taken packets of others: else nothing was tested.
func (f *peerRig) expectTaken(t *testing.T) {
	t.Helper()
	taken := uint64(0)
	for _, e := range f.edges {
		peers := e.proxy.status(t).Peers
		t.Logf("%s: packets %v, conns %v", e.Name, peers.Packets, peers.Conns)
		taken += peers.Packets["taken"]
	}
	if taken == 0 {
		t.Error("no edge has taken a packet of another one")
	}
}
