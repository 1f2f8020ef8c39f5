package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// proxy is `anyport run` on a host.
type proxy struct {
	*process
	host   *host
	file   string
	socket string
}

// serveWith starts anyport with a file (without [admin], which the harness adds) and waits
// until it serves. When the test ends, it stops anyport as an operator would, expects
// exit status 0, and checks that the host is as it was before.
func (h *host) serveWith(t *testing.T, toml string) *proxy {
	t.Helper()
	p := h.launch(t, toml)
	p.expect(t, "msg=serving")
	return p
}

// launch is serveWith for a test that does not expect anyport to come up.
func (h *host) launch(t *testing.T, toml string) *proxy {
	t.Helper()
	return h.launchAs(t, anyportRun, toml)
}

// launchAs starts the command that run returns for the file.
func (h *host) launchAs(t *testing.T, run func(file string) *exec.Cmd, toml string) *proxy {
	t.Helper()
	dir := t.TempDir()
	p := &proxy{host: h, file: filepath.Join(dir, "anyport.toml"), socket: filepath.Join(dir, "admin.sock")}
	p.write(t, toml)
	before := h.belongings(t)
	p.process = h.spawn(t, run(p.file))
	h.proxies = append(h.proxies, p)
	t.Cleanup(func() { p.leaves(t, before) })
	return p
}

// restart starts anyport once more with the same file and waits until it serves.
func (p *proxy) restart(t *testing.T) *process { return p.restartAs(t, anyportRun) }

func (p *proxy) restartAs(t *testing.T, run func(file string) *exec.Cmd) *process {
	t.Helper()
	again := p.host.spawn(t, run(p.file))
	again.expect(t, "msg=serving")
	return again
}

// write puts a new file in place.
func (p *proxy) write(t *testing.T, toml string) {
	t.Helper()
	text := fmt.Sprintf("[admin]\nsocket = %q\n%s", p.socket, withFastPath(toml, p.host.pathOf()))
	if err := os.WriteFile(p.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// leaves stops what still runs, and checks that it leaves nothing behind.
func (p *proxy) leaves(t *testing.T, before []string) {
	if os.Getenv(fastPathVariable) == "auto" && claimsNoneAdmitted(t.Name()) {
		if n, ok := p.inKernel(); ok && n > 0 {
			t.Errorf("the kernel has forwarded %d datagrams, and onOnePath says that it forwards none", n)
		}
	}
	if p.alive() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		p.cmd.Process.Signal(syscall.SIGINT) // a second signal: does not wait for conns
		if status := p.wait(t); status != 0 {
			t.Errorf("anyport ended with %d", status)
		}
	}
	if after := p.host.belongings(t); !slices.Equal(before, after) {
		t.Errorf("the host had\n%s\nand has\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if _, err := os.Stat(p.socket); err == nil {
		t.Errorf("%s is left behind", p.socket)
	}
}

// belongings are the links, qdiscs, rules and routes of a host, one a line.
func (h *host) belongings(t *testing.T) []string {
	t.Helper()
	var all []string
	links, err := h.net.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		all = append(all, fmt.Sprintf("link %d %s", link.Attrs().Index, link.Attrs().Name))
		qdiscs, err := h.net.QdiscList(link)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range qdiscs {
			all = append(all, fmt.Sprintf("qdisc %s of %s", q.Type(), link.Attrs().Name))
		}
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rules, err := h.net.RuleList(family)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			all = append(all, fmt.Sprintf("rule %d of family %d", r.Priority, family))
		}
	}
	return append(all, h.routes(t)...)
}

// routes are the routes of all tables, sorted, without those that the kernel keeps
// for its addresses.
func (h *host) routes(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := h.net.RouteListFiltered(family, &netlink.Route{}, netlink.RT_FILTER_TABLE)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range routes {
			if r.Protocol == unix.RTPROT_KERNEL {
				continue
			}
			all = append(all, fmt.Sprintf("route %v table %d type %d protocol %d", r.Dst, r.Table, r.Type, r.Protocol))
		}
	}
	slices.Sort(all)
	return all
}

// status is what the tests read of `anyport status --json`.
type status struct {
	Version string
	PID     int
	Uptime  float64 `json:"uptime_seconds"`
	Config  struct {
		Path       string
		Generation int
		Refused    string `json:"last_reload_error"`
	}
	Privileges struct {
		User         string
		Capabilities []string
		NoNewPrivs   bool `json:"no_new_privs"`
	}
	Steering struct {
		Attached  bool
		Pinned    bool
		OnDeath   string `json:"on_death"`
		ProgramID int    `json:"program_id"`
		Foreign   []any  `json:"foreign_programs"`
		Missing   []string
		Restored  int `json:"routes_restored"`
	}
	Routes []routeStatus
	Peers  struct {
		Off     string
		Segment int
		Changed *time.Time `json:"changed_at"`
		Peers   []struct {
			Address string
			Alive   bool
			Wrong   uint64 `json:"wrong_tags"`
		}
		Packets, Conns map[string]uint64
	}
	Announce struct{ Prefixes map[string]int } // by verdict
}

type routeStatus struct {
	Name                              string
	Protocol                          any
	Prefixes                          []string
	Ports                             any
	Lookups, Refused, Denied, Limited uint64
	ConnsActive                       int    `json:"conns_active"`
	ConnsTotal                        uint64 `json:"conns_total"`
	Draining                          bool
	Datagrams                         map[string]map[string]uint64 // direction → verdict
	Ended                             map[string]map[string]uint64 // protocol → verdict
	HeldBack                          uint64                       `json:"bytes_held_back"`
	QueueWaiting                      *int                         `json:"queue_waiting"`
	LocalSockets                      []struct{ Up bool }          `json:"local_sockets"`
	UnreachableSince                  *time.Time                   `json:"unreachable_since"`
	Fast                              fastStatus                   `json:"fast_path"`
	Origins                           []originStatus
}

type fastStatus struct {
	Flows     int
	Datagrams map[string]uint64 // by direction
	Refused   map[string]uint64 // by reason
}

type originStatus struct {
	Address     string
	Up          bool
	Forced      string
	State       string
	CheckedAt   *time.Time `json:"checked_at"`
	CheckFailed string     `json:"check_failed"`
	Weight      int
	Changes     map[string]uint64
	Refusals    uint64
	ConnsActive int    `json:"conns_active"`
	ConnsTotal  uint64 `json:"conns_total"`

	Health       string
	LastError    string     `json:"last_error"`
	LastErrno    string     `json:"last_errno"`
	LastErrorAt  *time.Time `json:"last_error_at"`
	FailingSince *time.Time `json:"failing_since"`

	SourcePorts map[string]int `json:"source_ports_used"`
}

// status asks the running process.
func (p *proxy) status(t *testing.T) status {
	t.Helper()
	var s status
	decoder := json.NewDecoder(bytes.NewReader(p.statusJSON(t)))
	if err := decoder.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// statusJSON is what anyport status --json prints. It does not start a process for that: tests ask many times a second.
func (p *proxy) statusJSON(t *testing.T) []byte {
	t.Helper()
	out, err := askStatus(p.socket)
	if err != nil {
		t.Fatalf("anyport status: %v", err)
	}
	return out
}

// route gives the status of one route.
func (s status) route(t *testing.T, name string) routeStatus {
	t.Helper()
	for _, r := range s.Routes {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("status knows no route %q", name)
	return routeStatus{}
}

func anyportRun(file string) *exec.Cmd { return exec.Command(program, "run", "-c", file) }
