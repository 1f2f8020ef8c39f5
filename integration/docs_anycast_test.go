package integration

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const anycastPage = "../docs/how-to/anycast.md"

// anycastClient is a client behind the router that both edges can answer.
const anycastClient = "203.0.113.9"

// anycastPrefixes are those of the page's file.
const anycastPrefixes = "192.0.2.0/24, 198.51.100.0/24, 2001:db8:1::/48"

// hasty makes a session of BGP come up within seconds.
const hasty = "connect delay time 1; connect retry time 1; error wait time 1, 1; neighbor "

// routerConf is the other end of the page's BGP sessions, with one for each family of each edge. OBEY is the
// page's filter.
const routerConf = `
router id 10.9.0.1;
OBEY
protocol device { }
protocol kernel { ipv4 { export all; }; }
protocol kernel { ipv6 { export all; }; }
protocol bgp one4 { local 10.9.0.1 as 64496; neighbor 10.9.0.2 as 64500; ipv4 { import filter obey; export none; }; }
protocol bgp one6 { local 2001:db8:9::1 as 64496; neighbor 2001:db8:9::2 as 64500; ipv6 { import filter obey; export none; }; }
protocol bgp two4 { local 10.10.0.1 as 64496; neighbor 10.10.0.2 as 64500; ipv4 { import filter obey; export none; }; }
protocol bgp two6 { local 2001:db8:10::1 as 64496; neighbor 2001:db8:10::2 as 64500; ipv6 { import filter obey; export none; }; }
`

// anycastEdge is an edge that is made by the page.
type anycastEdge struct {
	*session
	router *session
	name   string
}

// TestAnycast: two edges, one with BIRD and one with FRR, announce their prefixes as the page says: not before they are
// ready, with GRACEFUL_SHUTDOWN while they drain, and not while an origin is down, after a stop or a kill. Clients reach
// the first edge, and the other one while the first does not want them.
func TestAnycast(t *testing.T) {
	t.Parallel()
	needTool(t, "bird")
	router, one, two := newHost(t, "router"), newHost(t, "one"), newHost(t, "two")
	join(t, router.port("one0", "10.9.0.1/24", "2001:db8:9::1/64"), one.port("router0", "10.9.0.2/24", "2001:db8:9::2/64"))
	join(t, router.port("two0", "10.10.0.1/24", "2001:db8:10::1/64"), two.port("router0", "10.10.0.2/24", "2001:db8:10::2/64"))
	router.run(t, "ip addr add "+anycastClient+"/32 dev lo")
	at := router.newSession(t)
	at.startBIRD(t, strings.ReplaceAll(routerConf, "OBEY", anycastBlock(t, "conf bird import")))

	first := one.newEdge(t, at, "one", "9")
	first.startBIRD(t, first.renumbered(t, "conf bird"))
	first.begins(t)
	router.awaitEdge(t, "one")
	second := two.newEdge(t, at, "two", "10")
	second.startFRR(t, second.renumbered(t, "conf frr"))
	second.begins(t)

	first.drains(t, func() { router.awaitEdge(t, "two") })
	router.awaitEdge(t, "one")
	second.drains(t, func() {})
	for _, e := range []*anycastEdge{first, second} {
		e.losesOrigin(t)
		e.isReplaced(t)
	}
	first.isKilled(t)
	router.awaitEdge(t, "two")
	first.begins(t)
	second.isKilled(t)
	second.begins(t)
	first.stops(t)
	second.stops(t)
}

// anycastBlock is the block of the page with that kind.
func anycastBlock(t *testing.T, kind string) string {
	t.Helper()
	for _, b := range documents(t)[anycastPage] {
		if b.info == kind {
			return b.text
		}
	}
	t.Fatalf("the page has no block %q", kind)
	return ""
}

// newEdge makes an edge of a host, with the file of the page and an origin that says its name.
func (h *host) newEdge(t *testing.T, router *session, name, network string) *anycastEdge {
	t.Helper()
	h.run(t, "ip addr add 10.0.0.5/32 dev lo")
	h.route(t, anycastClient+"/32", fmt.Sprintf("10.%s.0.1", network))
	h.both(t, "10.0.0.5:4711", named(name))
	e := &anycastEdge{session: h.newSession(t), router: router, name: name}
	for _, b := range documents(t)[anycastPage] {
		if b.info == "toml" {
			e.follow(t, b)
		}
	}
	return e
}

// renumbered is a block of the page with the addresses of this edge.
func (e *anycastEdge) renumbered(t *testing.T, kind string) string {
	t.Helper()
	network := map[string]string{"one": "9", "two": "10"}[e.name]
	return strings.NewReplacer("10.9.0.", fmt.Sprintf("10.%s.0.", network), "2001:db8:9::", fmt.Sprintf("2001:db8:%s::", network)).Replace(anycastBlock(t, kind))
}

// startBIRD runs BIRD with a file, until the session ends.
func (s *session) startBIRD(t *testing.T, conf string) {
	t.Helper()
	conf = strings.ReplaceAll(conf, "neighbor ", hasty)
	if err := os.WriteFile(filepath.Join(s.dir, "bird.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "mkdir -p /run/bird && bird -f -c bird.conf 2>bird.log &", "")
	s.expect(t, "birdc show status", "…\nDaemon is up and running")
}

// startFRR runs zebra, bgpd and the page's script, until the session ends.
func (e *anycastEdge) startFRR(t *testing.T, conf string) {
	t.Helper()
	for _, daemon := range []string{"zebra", "bgpd"} {
		if _, err := os.Stat("/usr/lib/frr/" + daemon); err != nil {
			t.Skipf("needs FRR: %v", err)
		}
	}
	conf = strings.ReplaceAll(conf, " remote-as 64496\n", " remote-as 64496\n NEIGHBOR timers connect 1\n")
	lines := strings.Split(conf, "\n")
	for i, line := range lines {
		if strings.Contains(line, "NEIGHBOR") { // the name of the line before
			lines[i] = strings.ReplaceAll(line, "NEIGHBOR", strings.Join(strings.Fields(lines[i-1])[:2], " "))
		}
	}
	for name, text := range map[string]string{"frr.conf": strings.Join(lines, "\n"), "anyport-frr": anycastBlock(t, "sh frr")} {
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	unit := strings.ReplaceAll(anycastBlock(t, "conf unit"), "/usr/local/sbin", e.dir)
	if err := os.WriteFile(filepath.Join(e.dir, "anyport-frr.service"), []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "cp /lib/systemd/system/frr.service . && systemd-analyze verify --man=no ./anyport-frr.service 2>&1 | grep anyport-frr; true", "")
	e.expect(t, "mkdir -p /run/frr && chown frr:frr /run/frr", "")
	for _, daemon := range []string{"zebra", "bgpd"} {
		e.expect(t, fmt.Sprintf(": >/run/frr/%s.conf && chown frr:frr /run/frr/%s.conf", daemon, daemon), "")
		e.expect(t, fmt.Sprintf("/usr/lib/frr/%s -f /run/frr/%s.conf >%s.log 2>&1 &", daemon, daemon, daemon), "")
		e.expect(t, fmt.Sprintf("vtysh -d %s -c 'show version' | grep -o FRRouting", daemon), "FRRouting")
	}
	e.expect(t, "vtysh -f frr.conf >vtysh.log 2>&1", "")
	e.expect(t, "anyport-frr 2>anyport-frr.log &", "")
}

// begins: what is served is announced once anyport is ready, and not before.
func (e *anycastEdge) begins(t *testing.T) {
	t.Helper()
	e.expect(t, "anyport run -c anyport.toml 2>>anyport.log &", "")
	e.expect(t, "curl --silent --unix-socket /run/anyport/admin.sock http://anyport/readyz | grep -o '\"ok\":true'", "\"ok\":true")
	if got := e.announced(t); got != "" {
		t.Errorf("%s: announced when anyport had been ready for a moment: %s", e.name, got)
	}
	e.await(t, "ready", anycastPrefixes)
	e.expect(t, "ip route show table 179 192.0.2.0/24", "192.0.2.0/24 dev anyport-route0 proto 170 scope link metric 100")
}

// announced are the prefixes that the router has from this edge, with "drained" behind those with GRACEFUL_SHUTDOWN.
func (e *anycastEdge) announced(t *testing.T) string {
	t.Helper()
	got, _ := e.router.typeIn(t, fmt.Sprintf("for p in %s4 %s6; do birdc show route all protocol $p; done", e.name, e.name))
	var all []string
	for line := range strings.Lines(got) {
		switch {
		case strings.Contains(line, "unicast"):
			all = append(all, strings.Fields(line)[0])
		case strings.Contains(line, "(65535,0)"):
			all[len(all)-1] += " drained"
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// await waits until the router has exactly these, and logs how long it took.
func (e *anycastEdge) await(t *testing.T, event, want string) {
	t.Helper()
	begun, got := time.Now(), ""
	for time.Since(begun) < 3*patience {
		if got = e.announced(t); got == want {
			t.Logf("%s, %s: the router knows after %v", e.name, event, time.Since(begun).Round(time.Millisecond))
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	status, _ := e.typeIn(t, "anyport status; ip route show table 179; ip -6 route show table 179")
	t.Fatalf("%s, %s: the router has %q, want %q\n%s", e.name, event, got, want, status)
}

// drains: while routes drain, routers are asked to prefer others.
func (e *anycastEdge) drains(t *testing.T, meanwhile func()) {
	t.Helper()
	e.expect(t, "anyport drain", "…")
	e.await(t, "drain", strings.ReplaceAll(anycastPrefixes, ",", " drained,")+" drained")
	meanwhile()
	e.expect(t, "anyport drain --undo", "…")
	e.await(t, "drain --undo", anycastPrefixes)
}

// losesOrigin: the prefix of a route with on_all_down = "refuse" goes and comes with its origin.
func (e *anycastEdge) losesOrigin(t *testing.T) {
	t.Helper()
	e.expect(t, "ip addr del 10.0.0.5/32 dev lo", "")
	e.await(t, "origin down", strings.Replace(anycastPrefixes, ", 198.51.100.0/24", "", 1))
	e.expect(t, "ip addr add 10.0.0.5/32 dev lo", "")
	e.await(t, "origin up", anycastPrefixes)
}

// isReplaced: neither a reload nor an upgrade withdraws anything.
func (e *anycastEdge) isReplaced(t *testing.T) {
	t.Helper()
	since := func() string {
		got, _ := e.router.typeIn(t, fmt.Sprintf("for p in %s4 %s6; do birdc show route protocol $p; done", e.name, e.name))
		return got
	}
	before := since()
	e.expect(t, "anyport reload", "…")
	e.expect(t, "anyport upgrade", "…")
	e.expect(t, "anyport status | grep -c 'prefixes announced'", "1")
	time.Sleep(2 * time.Second) // for what should not happen
	if after := since(); after != before {
		t.Errorf("%s: a reload and an upgrade change what the router has from\n%s\nto\n%s", e.name, before, after)
	}
}

func (e *anycastEdge) isKilled(t *testing.T) {
	t.Helper()
	e.expect(t, "kill -9 $(pidof anyport)", "")
	e.await(t, "kill -9", "")
}

func (e *anycastEdge) stops(t *testing.T) {
	t.Helper()
	e.expect(t, "kill -TERM $(pidof anyport)", "")
	e.await(t, "stop", "")
}

// awaitEdge waits until a new conn reaches the edge of that name.
func (h *host) awaitEdge(t *testing.T, name string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(3 * patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if conn, err := h.tryDial("tcp", anycastClient, "192.0.2.7:4711"); err == nil {
			conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprintln(conn, "who?")
			conn.(interface{ CloseWrite() error }).CloseWrite()
			answer, _ := io.ReadAll(conn)
			conn.Close()
			if got = string(answer); strings.Contains(got, name) {
				return
			}
		}
	}
	t.Fatalf("the last answer is %q, want %q", got, name)
}
