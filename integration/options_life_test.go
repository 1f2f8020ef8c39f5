package integration

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
	"golang.org/x/sys/unix"
)

// combination runs an anyport with one choice of the options, from start to stop.
type combination struct {
	choice
	addresses
	rig     *rig
	manager *manager // nil: none
	access  string   // the file of the access log; "": none
	pins    string   // "": none
	proxy   *proxy
	family  *family
	running *process // the one that was started last
	drained bool     // a route is
	keys    string   // the file of the keys of knocks; "": none
	knocked bool     // the doors are open
	conn    net.Conn // these stay
	flow    net.Conn
}

const (
	combinedExtra = "203.0.113.0/24" // comes with the reload
	combinedName  = "origin.example" // of the origin
)

// addresses are those of one family.
type addresses struct{ served, stays, comes, drained, egress, edge, origin, clients string }

var combinedAddresses = map[string]addresses{
	"IPv4": {servedV4, "192.0.2.7", "192.0.2.8", "192.0.2.99", "10.9.0.0/24", "10.0.0.1", originV4, "198.51.100.0/24"},
	"IPv6": {servedV6, "2001:db8:1::7", "2001:db8:1::8", "2001:db8:1::99", "fd00:9::/64", "fd00:5::1", originV6, "2001:db8:c::/64"},
}

func (c *combination) live(t *testing.T) {
	c.start(t)
	c.converse(t, "at first")
	before := c.count(t)

	c.proxy.write(t, c.file()+"[route.extra]\nprotocol = \"tcp\"\nprefixes = [\""+combinedExtra+"\"]\norigins = [\"10.0.0.5\"]\n")
	c.reload(t)
	c.converse(t, "after a reload")
	after := c.count(t)
	before.noMoreThan(t, "over the reload", after)

	open, flows := c.settled(t)
	for n := range 2 {
		c.upgrade(t)
		c.converse(t, fmt.Sprint("after upgrade ", n+1))
		next := c.count(t)
		after.kernel().noMoreThan(t, "over an upgrade", next)
		after = next
	}
	c.opens(t, open, flows, c.proxy.status(t).route(t, "udp").ConnsActive-flows)
	if twice := openTwice(t, c.pid()); len(twice) > 0 {
		t.Errorf("these are open more than once: %v", twice)
	}
	c.belongsTo(t)

	c.crash(t)
	c.converse(t, "after a crash")
	c.belongsTo(t)
	c.stop(t)
	c.readAccess(t)
}

// start creates everything that the choice needs, and waits until anyport serves.
func (c *combination) start(t *testing.T) {
	c.rig = newRig(t)
	r := c.rig
	c.addresses = combinedAddresses[c.choice["family"]]
	r.origin.route(t, c.egress, c.addresses.edge)
	r.origin.route(t, c.clients, c.addresses.edge)
	r.client.route(t, combinedExtra, edgeV4)
	r.origin.serve(t, port(c.origin, 4711), c.echo)
	r.origin.echoes(t, port(c.origin, 4711))
	if c.is("manage_routes", "false") {
		for _, prefix := range []string{c.served, combinedExtra, c.egress} {
			r.edge.local(t, prefix)
		}
	}
	if c.is("origins", "name") {
		hosts := filepath.Join(t.TempDir(), "hosts")
		if err := os.WriteFile(hosts, []byte(c.origin+" "+combinedName+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := r.edge.Bind(hosts, "/etc/hosts"); err != nil {
			t.Fatal(err)
		}
	}
	if c.is("pin", "bpffs") {
		mounted := t.TempDir()
		if err := r.edge.Mount("bpf", mounted); err != nil {
			t.Fatal(err)
		}
		r.edge.spawn(t, exec.Command("chmod", "700", mounted)).wait(t) // as systemd mounts it
		c.pins = filepath.Join(mounted, "anyport")
	}
	if c.is("log.access", "file") {
		c.access = filepath.Join(t.TempDir(), "access.log")
	}
	if c.is("knock", "spa") {
		c.keys = writeKeys(t, map[string]int{"": 0, "65534": 65534}[c.choice["user"]])
	}
	if c.is("store", "on") {
		c.manager = newManager(t)
		give(t, c.manager.path, "")
		if err := os.Chmod(c.manager.path, 0o777); err != nil { // as systemd's
			t.Fatal(err)
		}
	}
	c.proxy = r.edge.launchAs(t, c.command(t), c.file())
	c.running = c.proxy.process
	c.serving(t)
	c.family = newFamily(t, c.proxy)
	if c.is("drained", "yes") {
		if got := anyport(t, "drain", "--route", "drained", "--socket", c.proxy.socket); got.status != 0 {
			t.Errorf("drain: %+v", got)
		}
		c.drained = true
	}
}

// command returns the command that starts anyport with this choice.
func (c *combination) command(t *testing.T) func(file string) *exec.Cmd {
	return func(file string) *exec.Cmd {
		give(t, file, c.choice["user"])
		if c.manager != nil {
			return c.manager.run(file)
		}
		return anyportRun(file)
	}
}

// serving waits until anyport serves, and opens a conn and a flow that stay.
func (c *combination) serving(t *testing.T) {
	t.Helper()
	c.running.expect(t, "serving", "max_flows")
	if c.manager != nil {
		eventually(t, "the sockets are stored", func() bool {
			return c.manager.keeps("tcp/0", "udp/0") && (c.pins != "" || c.manager.keeps("link"))
		})
	}
	if !c.knocked {
		c.knock(t)
	}
	c.conn, c.flow = c.rig.client.dial(t, "tcp", port(c.stays, 4711)), c.rig.client.dial(t, "udp", port(c.stays, 4711))
	for n := range 16 { // the kernel may forward a flow after eight
		if err := hearBack(c.flow, fmt.Sprint("turn ", n)); err != nil {
			t.Errorf("the flow that stays: %v", err)
		}
	}
}

// file is the choice in TOML.
func (c *combination) file() string {
	var f strings.Builder
	fmt.Fprintf(&f, "http = %q\n", map[string]string{"": "", "on": "127.0.0.1:9765"}[c.choice["admin.http"]]) // of [admin]
	fmt.Fprintf(&f, "[listen]\nworkers = %s\nmax_flows = %s\n", c.choice["workers"], c.choice["max_flows"])
	pin := c.pins
	if c.is("pin", "auto") {
		pin = "auto"
	}
	fmt.Fprintf(&f, "[steering]\nuser = %q\npin = %q\nmanage_routes = %s\n", c.choice["user"], pin, c.choice["manage_routes"])
	access := c.access
	if c.is("log.access", "stderr") {
		access = "stderr"
	}
	fmt.Fprintf(&f, "[log]\nformat = %q\naccess = %q\n", c.choice["log.format"], access)
	address := c.origin
	if c.is("origins", "name") {
		address = combinedName
	}
	if c.keys != "" {
		fmt.Fprintf(&f, "[knock]\nkeys = %q\n", c.keys)
	}
	fmt.Fprintf(&f, "[route.tcp]\nprotocol = \"tcp\"\nprefixes = [%q]\norigins = [{ address = %q, max_conns = %d }]\nmirror_closed = %s\n",
		c.served, address, map[string]int{"none": 0, "all": 1000}[c.choice["limits"]], c.choice["mirror_closed"])
	if c.is("tcp", "v2") {
		f.WriteString("proxy_protocol = \"v2\"\n")
	}
	f.WriteString(c.choosing() + c.door("tcp"))
	if c.is("return", "slowly") {
		f.WriteString("max_age = \"1h\"\n")
	}
	if c.is("source", "edge") {
		fmt.Fprintf(&f, "source = [%q]\n", c.edge)
	}
	if c.is("source", "client") {
		f.WriteString("transparent = true\n")
	}
	if c.is("limits", "all") {
		f.WriteString("bandwidth = \"50MiB/s\"\nroute_bandwidth = \"100MiB/s\"\nnew_conns_per_second_per_client = 1000\nmax_conns = 1000\nmax_conns_per_client = 500\nqueue = 100\n")
	}
	if c.is("health", "tcp") {
		f.WriteString("on_all_down = \"refuse\"\non_down = \"close\"\n[route.tcp.health]\ntype = \"tcp\"\nport = 4711\ninterval = \"200ms\"\n")
	}
	fmt.Fprintf(&f, "[route.udp]\nprotocol = \"udp\"\nprefixes = [%q]\norigins = [%q]\n", c.served, address)
	fmt.Fprintf(&f, "fast_path = %q\n", c.choice["fast_path"])
	f.WriteString(c.choosing() + c.door("udp"))
	switch c.choice["udp"] {
	case "spp":
		f.WriteString("proxy_protocol = \"spp\"\n")
	case "egress":
		fmt.Fprintf(&f, "egress_prefixes = [%q]\n", c.egress)
	case "sockets":
		fmt.Fprintf(&f, "transparent = %t\n", c.is("source", "client"))
	}
	fmt.Fprintf(&f, "[route.drained]\nprotocol = \"tcp\"\nprefixes = [%q]\norigins = [%q]\nproxy_protocol = %q\n",
		c.addresses.drained, address, map[string]string{"plain": "off", "v2": "v2"}[c.choice["tcp"]])
	return f.String()
}

// choosing has the keys of who is let in, and which origin is chosen for them.
func (c *combination) choosing() string {
	keys := fmt.Sprintf("balance = %q\n", c.choice["balance"])
	if c.is("return", "slowly") {
		keys += "slow_start = \"10s\"\npanic_threshold = 50\n"
	}
	if !c.is("hours", "always") {
		keys += fmt.Sprintf("active = [%q]\ninactive = \"drop\"\non_inactive = %q\n", hoursAround(time.Now()), c.choice["hours"])
	}
	if c.is("clients", "listed") {
		keys += fmt.Sprintf("allow = [%q]\ndeny = [%q]\ndenied = \"drop\"\n", c.clients, c.edge)
	}
	return keys
}

// echo is what the origin answers: the payload behind the header, if there is one.
func (c *combination) echo(conn net.Conn) {
	reader := bufio.NewReader(conn)
	if c.is("tcp", "v2") {
		if _, err := proxyproto.Read(reader); err != nil {
			return
		}
	}
	io.Copy(conn, reader)
}

func port(addr string, port int) string { return net.JoinHostPort(addr, fmt.Sprint(port)) }

func (c *combination) pid() int { return c.family.pids[len(c.family.pids)-1] }

// converse sends data on the conns and flows that stay, and on some new ones, and checks
// everything that must be true at any time.
func (c *combination) converse(t *testing.T, when string) {
	t.Helper()
	r := c.rig
	for _, stays := range []net.Conn{c.conn, c.flow} {
		stays.SetDeadline(time.Now().Add(patience))
	}
	if err := hearBack(c.conn, when); err != nil {
		t.Errorf("%s: the conn that stays: %v", when, err)
	}
	if err := hearBack(c.flow, when); err != nil {
		t.Errorf("%s: the flow that stays: %v", when, err)
	}
	for _, network := range []string{"tcp", "udp"} {
		conn := r.client.dial(t, network, port(c.comes, 4711))
		if err := hearBack(conn, when); err != nil {
			t.Errorf("%s: a new one over %s: %v", when, network, err)
		}
		conn.Close()
	}
	if err := r.meet(port(c.comes, 4712)); !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("%s: a port that the origin has closed: %v", when, err)
	}
	if err := r.meet(port(c.addresses.drained, 4711)); errors.Is(err, unix.ECONNREFUSED) != c.drained || err != nil && !c.drained {
		t.Errorf("%s: the route that is drained, or not: %v", when, err)
	}
	if c.is("admin.http", "on") {
		if got := r.edge.output(t, "curl", "-sf", "http://127.0.0.1:9765/metrics"); !strings.Contains(got, "anyport_connections_active") {
			t.Errorf("%s: metrics: %s", when, got)
		}
	}
	c.proxy.errors(t)
	c.running.errors(t)
}

// meet has a new client talk to an echo, over TCP.
func (r *rig) meet(dst string) error {
	conn, err := r.client.tryDial("tcp", "", dst)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	return hearBack(conn, "hello")
}

func (c *combination) reload(t *testing.T) {
	t.Helper()
	if c.is("orders by", "signal") {
		c.family.reload(t)
		return
	}
	if got := anyport(t, "reload", "--socket", c.proxy.socket); got.status != 0 {
		t.Errorf("reload: %+v", got)
	}
}

func (c *combination) upgrade(t *testing.T) {
	t.Helper()
	if c.is("orders by", "command") {
		c.family.upgrade(t)
	} else {
		old := c.pid()
		if err := syscall.Kill(old, syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		var next int
		eventually(t, "another process serves", func() bool {
			got := anyport(t, "status", "--json", "--socket", c.proxy.socket)
			if got.status != 0 {
				t.Errorf("status while processes change: %+v", got)
			}
			var s status
			_ = json.Unmarshal([]byte(got.stdout), &s)
			next = s.PID
			return next != 0 && next != old
		})
		c.family.pids = append(c.family.pids, next)
	}
	c.family.gone(t, c.family.pids[len(c.family.pids)-2])
}

// crash kills anyport and starts it again.
func (c *combination) crash(t *testing.T) {
	t.Helper()
	c.family.kill(t)
	if c.manager == nil && c.pins != "" {
		if got := c.rig.client.ask("tcp", netip.MustParseAddrPort(port(c.stays, 4711)), refused); got != refused {
			t.Errorf("while no process runs, with pins: %s", got)
		}
	}
	var waiting net.Conn
	if c.manager != nil {
		waiting = c.rig.client.dial(t, "tcp", port(c.stays, 4711))
	}
	kept := c.manager != nil || c.pins != "" // else nothing knows of it
	c.drained, c.knocked = c.drained && kept, c.knocked && kept
	c.running = c.rig.edge.spawn(t, c.command(t)(c.proxy.file))
	c.serving(t)
	c.family.pids = append(c.family.pids, c.running.cmd.Process.Pid)
	if waiting != nil {
		if err := hearBack(waiting, "I have waited"); err != nil {
			t.Errorf("who waited for the next process: %v", err)
		}
		waiting.Close()
	}
}

// stop ends anyport as an operator does. What it leaves behind is checked last.
func (c *combination) stop(t *testing.T) {
	t.Helper()
	c.conn.Close()
	c.running.signal(t, syscall.SIGTERM)
	if status := c.running.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if c.pins == "" {
		return
	}
	unload := c.rig.edge.spawn(t, exec.Command(program, "unload", "-c", c.proxy.file))
	if status := unload.wait(t); status != 0 {
		t.Errorf("unload ended with %d", status)
	}
	if c.rig.edge.spawn(t, exec.Command("test", "-e", c.pins)).wait(t) != 1 {
		t.Error("the pins are left behind")
	}
}

// belongsTo checks the user of each thread.
func (c *combination) belongsTo(t *testing.T) {
	t.Helper()
	user := c.choice["user"]
	if user == "" {
		user = "0"
	}
	want := "Uid:" + strings.Repeat("\t"+user, 4)
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.pid()))
	if err != nil || len(threads) < 2 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err == nil && !slices.Contains(strings.Split(string(text), "\n"), want) {
			t.Errorf("%s: %s, want %s", thread, uidLine.Find(text), want)
		}
	}
}

var uidLine = regexp.MustCompile(`(?m)^Uid:.*$`)

// readAccess expects complete lines about conns and flows, if the choice has an access log.
func (c *combination) readAccess(t *testing.T) {
	t.Helper()
	text := c.proxy.String() + c.running.String()
	if c.access != "" {
		written, err := os.ReadFile(c.access)
		if err != nil {
			t.Fatal(err)
		}
		text = string(written)
	}
	line := regexp.MustCompile(`^time=[^ ]+ event=[a-z]+ id=[^ ]+ protocol=(tcp|udp) .*verdict=[a-z_]+ state=.. ended_by=[a-z_]+ phase=[a-z]+( error=[a-z]+)?( errno=[A-Z0-9]+)?( path=(user|kernel|both))?\n$`)
	seen := map[string]int{}
	for one := range strings.Lines(text) {
		var fields struct{ Protocol, Verdict string }
		switch parts := line.FindStringSubmatch(one); {
		case parts != nil:
			seen[parts[1]]++
		case json.Unmarshal([]byte(one), &fields) == nil && fields.Verdict != "":
			seen[fields.Protocol]++
		case c.access != "":
			t.Errorf("a line of the access log: %q", one)
		}
	}
	if want := c.choice["log.access"] != ""; (seen["tcp"] > 0) != want || (seen["udp"] > 0) != want {
		t.Errorf("the access log has %v lines", seen)
	}
}

// counted holds counters by name.
type counted map[string]uint64

// count reads the counters of all routes.
func (c *combination) count(t *testing.T) counted {
	t.Helper()
	all := counted{}
	for _, r := range c.proxy.status(t).Routes {
		all["kernel "+r.Name] = r.Lookups
		all["conns "+r.Name] = r.ConnsTotal
		for direction, verdicts := range r.Datagrams {
			for verdict, n := range verdicts {
				all["datagrams "+r.Name+" "+direction+" "+verdict] = n
			}
		}
	}
	return all
}

// kernel returns the counters that outlive the process.
func (c counted) kernel() counted {
	only := maps.Clone(c)
	maps.DeleteFunc(only, func(name string, _ uint64) bool { return !strings.HasPrefix(name, "kernel ") })
	return only
}

// noMoreThan fails the test if a counter has decreased.
func (c counted) noMoreThan(t *testing.T, when string, next counted) {
	t.Helper()
	for name, n := range c {
		if next[name] < n {
			t.Errorf("%s: %s went from %d to %d", when, name, n, next[name])
		}
	}
}

// settled returns what is open once only the conns and flows that stay are left, and the
// number of flows.
func (c *combination) settled(t *testing.T) (open map[string]int, flows int) {
	t.Helper()
	eventually(t, "the conns have ended that do not stay", func() bool {
		s := c.proxy.status(t)
		flows = s.route(t, "udp").ConnsActive
		return s.route(t, "tcp").ConnsActive == 1 && s.route(t, "drained").ConnsActive == 0
	})
	eventually(t, "the question about that has ended, and no iptables-save runs, which is asked for the rules", func() bool {
		before, files := open, openFiles(t, c.pid())
		open = kinds(files)
		return maps.Equal(before, open) && !slices.Contains(files, "anon_inode:[pidfd]")
	})
	return open, flows
}

// opens waits until as many files are open as before, kind by kind, and a socket for each of
// the flows that have begun since: none with egress_prefixes, and a few for all with spp. A process
// does not open the sockets that answer the flows of the one before if the kernel does that.
func (c *combination) opens(t *testing.T, before map[string]int, flows, begun int) {
	t.Helper()
	least, most := begun, begun
	switch c.choice["udp"] {
	case "egress":
		least, most = 0, 0
	case "spp":
		least = 0
	}
	least -= flows
	var now map[string]int
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		now = kinds(openFiles(t, c.pid()))
		more := now["socket"] - before["socket"]
		now["socket"] = before["socket"]
		if more >= least && more <= most && maps.Equal(now, before) {
			return
		}
		now["socket"] += more
	}
	t.Errorf("open are %v, want %v and %d to %d sockets", now, before, least, most)
}

// kinds counts open files: sockets and such by their kind, others by name. The types of
// the BPF program (BTF) are open only in the process that loaded it.
func kinds(files []string) map[string]int {
	all := map[string]int{}
	for _, file := range files {
		kind, _, _ := strings.Cut(file, ":[")
		all[kind]++
	}
	delete(all, "anon_inode:btf")
	return all
}
