package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const nameServerFile = `
server:
    interface: 10.0.0.5@53
    access-control: 0.0.0.0/0 allow
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "DIR"
    pidfile: ""
    use-syslog: no
    verbosity: 1
    module-config: "iterator"
    local-zone: "example." static
    local-data: "example. 2 SOA ns.example. root.example. 1 3600 3600 3600 2"
remote-control:
    control-enable: yes
    control-interface: DIR/control
    control-use-cert: no
`

// nameServer is an unbound on the origin's host, which the edge asks.
type nameServer struct {
	*process
	host *host
	file string
}

// nameServer starts one, and points the edge's resolv.conf at it.
func (r *rig) nameServer(t *testing.T) *nameServer {
	t.Helper()
	dir := t.TempDir()
	s := &nameServer{host: r.origin, file: filepath.Join(dir, "unbound.conf")}
	for name, text := range map[string]string{
		"unbound.conf": strings.ReplaceAll(nameServerFile, "DIR", dir),
		"resolv.conf":  "nameserver " + originV4 + "\noptions timeout:1 attempts:1\n",
		"hosts":        "127.0.0.1 localhost\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"resolv.conf", "hosts"} {
		if err := r.edge.Bind(filepath.Join(dir, name), "/etc/"+name); err != nil {
			t.Fatal(err)
		}
	}
	s.start(t)
	return s
}

func (s *nameServer) start(t *testing.T) {
	t.Helper()
	s.process = s.host.spawn(t, exec.Command(needTool(t, "unbound"), "-d", "-p", "-c", s.file))
	s.expect(t, "start of service")
}

// set replaces all records of a name.
func (s *nameServer) set(t *testing.T, name string, records ...string) {
	t.Helper()
	control := func(args ...string) { s.host.output(t, "unbound-control", append([]string{"-c", s.file}, args...)...) }
	control("local_data_remove", name)
	for _, record := range records {
		control(append([]string{"local_data", name}, strings.Fields(record)...)...)
	}
}

// resolverStatus is what the tests read of the resolver in `anyport status --json`.
type resolverStatus struct {
	Servers []string
	Names   []struct {
		Name, Server, Error string
		Addresses           []string
		TTL                 float64 `json:"ttl_seconds"`
	}
}

func (p *proxy) resolver(t *testing.T) (s resolverStatus) {
	t.Helper()
	all := struct{ Resolver *resolverStatus }{&s}
	if err := json.Unmarshal(p.statusJSON(t), &all); err != nil {
		t.Fatal(err)
	}
	if len(s.Names) == 0 {
		t.Fatal("status has no names")
	}
	return s
}

// origin finds an origin by its address.
func (r routeStatus) origin(address string) (originStatus, bool) {
	i := slices.IndexFunc(r.Origins, func(o originStatus) bool { return o.Address == address })
	if i < 0 {
		return originStatus{}, false
	}
	return r.Origins[i], true
}

// sayAndEcho serves conns that first get a name, and then an echo.
func (h *host) sayAndEcho(t *testing.T, address, name string) {
	t.Helper()
	h.serve(t, address, func(c net.Conn) {
		fmt.Fprint(c, name)
		echo(c)
	})
}

// hears dials dst and returns the conn, and the name of the origin that answered.
func (h *host) hears(t *testing.T, dst string) (net.Conn, string) {
	t.Helper()
	c := h.dial(t, "tcp", dst)
	name := make([]byte, 4)
	n, err := c.Read(name)
	if err != nil {
		t.Fatalf("reading from %s: %v", dst, err)
	}
	return c, string(name[:n])
}

// await waits for something that must become true.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// TestNamesChange: new conns and flows follow a name, live ones stay with their address, which drains,
// and the last good answer serves while the name server is dead.
func TestNamesChange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	names := r.nameServer(t)
	r.origin.sayAndEcho(t, originV4+":9000", "five")
	r.origin.sayAndEcho(t, "10.0.0.6:9000", "six")
	r.origin.answer(t, originV4+":9001", named("five"))
	r.origin.answer(t, "10.0.0.6:9001", named("six"))
	names.set(t, "app.example.", "1 IN A 10.0.0.5")
	names.set(t, "g.example.", "1 IN A 10.0.0.5")
	names.set(t, "_game._udp.example.", "1 IN SRV 0 0 9001 g.example.")
	p := r.edge.serveWith(t, `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["app.example:9000"]
[route.game]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
origins  = ["srv:_game._udp.example"]
`)
	live, name := r.client.hears(t, dstV4+":80")
	if name != "five" {
		t.Fatalf("a conn got to %q", name)
	}
	if s := p.resolver(t); s.Servers[0] != originV4+":53" || s.Names[0].Server != originV4+":53" {
		t.Errorf("status says of the resolver: %+v", s)
	}
	names.set(t, "app.example.", "1 IN A 10.0.0.6")
	names.set(t, "g.example.", "1 IN A 10.0.0.6")
	await(t, "a new conn gets to the new address", func() bool {
		c, name := r.client.hears(t, dstV4+":80")
		c.Close()
		return name == "six"
	})
	await(t, "a new flow gets to the new address", func() bool {
		c := r.client.dial(t, "udp", dstV4+":7777")
		defer c.Close()
		fmt.Fprint(c, "hello")
		b := make([]byte, 100)
		n, err := c.Read(b)
		return err == nil && strings.HasPrefix(string(b[:n]), "six")
	})
	fmt.Fprint(live, "still there")
	if b := make([]byte, 100); !reads(live, b, "still there") {
		t.Error("the live conn has ended")
	}
	if old, ok := p.status(t).route(t, "web").origin(originV4 + ":9000"); !ok || old.Up || old.ConnsActive != 1 {
		t.Errorf("the address that has vanished: %+v", old)
	}
	live.Close()
	await(t, "the address that has vanished leaves the status", func() bool {
		_, there := p.status(t).route(t, "web").origin(originV4 + ":9000")
		return !there
	})

	names.signal(t, syscall.SIGKILL)
	names.wait(t)
	await(t, "status says that the name server is dead", func() bool { return p.resolver(t).Names[0].Error != "" })
	if s := p.resolver(t).Names[0]; s.Name != "app.example" || !slices.Equal(s.Addresses, []string{"10.0.0.6"}) {
		t.Errorf("while the name server is dead: %+v", s)
	}
	if _, name := r.client.hears(t, dstV4+":80"); name != "six" {
		t.Errorf("while the name server is dead, a conn got to %q", name)
	}
	names.start(t)
	names.set(t, "app.example.", "1 IN A 10.0.0.5", "1 IN A 10.0.0.6")
	heard := map[string]bool{}
	await(t, "both addresses are used", func() bool {
		c, name := r.client.hears(t, dstV4+":80")
		c.Close()
		heard[name] = true
		return len(heard) == 2
	})

	names.set(t, "app.example.", "1 IN A "+dstV4)
	p.expect(t, "an address of a name is not used", dstV4)
	if _, name := r.client.hears(t, dstV4+":80"); name == "" {
		t.Error("a loop was taken into service")
	}
}

func reads(c net.Conn, b []byte, want string) bool {
	n, err := c.Read(b)
	return err == nil && string(b[:n]) == want
}

// TestNamesAtTheStart: a name without an address is an error of run, unless another origin serves; it
// is asked again when the SOA says so.
func TestNamesAtTheStart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	names := r.nameServer(t)
	r.origin.sayAndEcho(t, originV4+":9000", "five")
	r.origin.sayAndEcho(t, "10.0.0.6:9000", "six")
	const file = "[route.web]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"new.example:9000\"%s]\n"
	names.set(t, "loop.example.", "1 IN A "+dstV4)
	for origin, why := range map[string]string{"new.example": "new.example has no addresses", "loop.example": "none of its addresses can be used"} {
		refused := r.edge.launch(t, strings.ReplaceAll(fmt.Sprintf(file, ""), "new.example", origin))
		refused.expect(t, "anyport.toml:6:12", `route "web"`, `"`+origin+`:9000" has no address`, why)
		if status := refused.wait(t); status != 1 {
			t.Errorf("%s: exit status %d", origin, status)
		}
		r.client.output(t, program, "check", "-c", refused.file) // without a name server
	}

	p := r.edge.serveWith(t, fmt.Sprintf(file, `, { address = "10.0.0.6:9000", backup = true }`))
	if _, name := r.client.hears(t, dstV4+":80"); name != "six" {
		t.Errorf("without an address of the name, a conn got to %q", name)
	}
	if s := p.resolver(t).Names[0]; s.Error == "" || s.TTL > 2 {
		t.Errorf("a negative answer with 2 s in its SOA: %+v", s)
	}
	names.set(t, "new.example.", "1 IN A 10.0.0.5")
	await(t, "the name is used once it is there", func() bool {
		c, name := r.client.hears(t, dstV4+":80")
		c.Close()
		return name == "five"
	})
}

// TestNamesWithDeadIPv6: conns to a name whose IPv6 address swallows everything get through by IPv4, long
// before connect_timeout.
func TestNamesWithDeadIPv6(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	names := r.nameServer(t)
	r.origin.sayAndEcho(t, originV4+":9000", "five")
	r.edge.route(t, "2001:db8:5::/64", originV6)
	r.origin.output(t, "ip", "-6", "route", "add", "blackhole", "2001:db8:5::/64")
	names.set(t, "app.example.", "60 IN A 10.0.0.5", "60 IN AAAA 2001:db8:5::5")
	p := r.edge.serveWith(t, `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["app.example:9000"]
connect_timeout = "1m"
`)
	for range 20 {
		if c, name := r.client.hears(t, dstV4+":80"); name != "five" { // fails after patience, which is less than connect_timeout
			t.Fatalf("a conn got to %q", name)
		} else {
			c.Close()
		}
	}
	six, _ := p.status(t).route(t, "web").origin("[2001:db8:5::5]:9000")
	if six.ConnsTotal == 0 || six.Address == "" || six.ConnsTotal > 10 {
		t.Errorf("of 20 conns %d tried IPv6, want the first, and few after it", six.ConnsTotal)
	}
}
