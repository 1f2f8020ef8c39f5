package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shadowFile differs from the old proxy: port 4712 is refused, 4714 is left to the host, and 4715 is taken though
// a listener of the host has it today. The other prefix is nobody's today.
const shadowFile = `
[route.game]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports    = [4711, 4713, 4715]
origins  = ["10.0.0.5", "[fd00:5::5]"]
[route.host]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [4714]
action   = "pass"
[route.edge]
protocol = "tcp"
prefixes = ["198.51.100.1"]
ports    = [4715]
origins  = ["10.0.0.5"]
`

// shadowStatus is what the tests read of the status of a rehearsal.
type shadowStatus struct {
	Steering struct{ Attached bool }
	Shadow   struct {
		Seen        int
		NotExamined int `json:"not_examined"`
		Routes      []struct {
			Name         string
			Seen         int
			Would, Today map[string]int
			Differences  []struct {
				Today, Anyport string
				Count          int
				Top            []struct {
					Prefix, Protocol string
					Port, Count      int
				}
			}
		}
	}
}

// counted is what a route was counted as: "5 steer, 5 proxy" and each difference with its first place.
func (s shadowStatus) counted(route string) string {
	for _, r := range s.Shadow.Routes {
		if r.Name != route {
			continue
		}
		text := fmt.Sprintf("%d seen, would %v, today %v", r.Seen, r.Would, r.Today)
		for _, d := range r.Differences {
			text += fmt.Sprintf("; %d %s/%s %s %s:%d", d.Count, d.Today, d.Anyport, d.Top[0].Protocol, d.Top[0].Prefix, d.Top[0].Port)
		}
		return text
	}
	return "no such route"
}

// TestShadow rehearses beside HAProxy behind TPROXY rules. It counts who handles the conns and flows today and what
// anyport would do, changes nothing, and reports at the end.
func TestShadow(t *testing.T) {
	t.Parallel()
	needTool(t, "iptables")
	r := newRig(t)
	r.serveOld(t, divertRules)
	for _, port := range []string{"4712", "4714"} {
		r.origin.serve(t, "10.0.0.5:"+port, carrier)
	}
	r.edge.serve(t, edgeV4+":4715", carrier)
	r.edge.local(t, "2001:db8:1::/48")
	r.edge.answer(t, "[2001:db8:1::7]:4713", named("host"))
	conn := r.longConn(t, byHAProxy)
	before := strings.Join(r.edge.belongings(t), "\n")

	p := r.edge.launchWith(t, shadowFile, "--shadow")
	p.expect(t, "shadow: nothing is steered")
	if now := strings.Join(r.edge.belongings(t), "\n"); now != before {
		t.Errorf("the host had\n%s\nand has\n%s", before, now)
	}
	for range 5 {
		r.longConn(t, byHAProxy)
	}
	for _, port := range []string{"4712", "4712", "4712", "4714"} {
		expectCarrier(t, r.client.dial(t, "tcp", dstV4+":"+port), byHAProxy)
	}
	expectCarrier(t, r.client.dial(t, "tcp", edgeV4+":4715"), clientV4)
	flow := r.client.dial(t, "udp", "[2001:db8:1::7]:4713")
	for range 3 { // one flow
		if got := trade(t, flow, "hello"); got != "host hello" {
			t.Fatalf("answered %q", got)
		}
	}
	if got := r.client.dial(t, "udp", "[2001:db8:1::7]:4711"); true { // a closed port
		got.Write([]byte("hello"))
		got.Read(make([]byte, 9))
	}
	silentDst, err := r.client.tryDial("udp", "", dstV4+":4713") // no rule, no route, no answer
	if err != nil {
		t.Fatal(err)
	}
	defer silentDst.Close()
	silentDst.Write([]byte("hello"))

	want := map[string]string{
		"game": "8 seen, would map[steer:8], today map[listener:1 proxy:5 refused:1 silent:1]" +
			"; 1 listener/steer udp 2001:db8:1::/48:4713; 1 refused/steer udp 2001:db8:1::/48:4711; 1 silent/steer udp 192.0.2.0/24:4713",
		"host": "1 seen, would map[pass:1], today map[proxy:1]; 1 proxy/pass tcp 192.0.2.0/24:4714",
		"edge": "1 seen, would map[steer:1], today map[listener:1]; 1 listener/steer tcp 198.51.100.1/32:4715",
		"":     "3 seen, would map[refuse:3], today map[proxy:3]; 3 proxy/refuse tcp 192.0.2.0/24:4712",
	}
	for route, counted := range want {
		p.awaitCounted(t, route, counted)
	}
	expectCarrier(t, conn, byHAProxy)
	if s := p.shadow(t); s.Steering.Attached || s.Shadow.NotExamined != 0 || s.Shadow.Seen != 13 {
		t.Errorf("%+v", s)
	}
	for _, args := range []string{"reload", "drain", "upgrade", "confirm", "flows"} {
		if got := anyport(t, args, "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "runs with --shadow") {
			t.Errorf("%s: %+v", args, got)
		}
	}
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t); status != 0 {
		t.Errorf("the rehearsal ended with %d", status)
	}
	p.expect(t, "(no route)", "3", "the proxy takes it, anyport would not", "tcp 192.0.2.0/24 port 4712 (3)")
	expectCarrier(t, conn, byHAProxy)
}

// shadow asks the rehearsal for its status.
func (p *proxy) shadow(t *testing.T) (s shadowStatus) {
	t.Helper()
	if err := json.NewDecoder(bytes.NewReader(p.statusJSON(t))).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// awaitCounted waits until a route is counted as wanted.
func (p *proxy) awaitCounted(t *testing.T, route, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = p.shadow(t).counted(route); got == want {
			return
		}
	}
	t.Errorf("route %q: counted\n%s, want\n%s", route, got, want)
}

// TestShadowOfStorm: what comes faster than it is read is counted as not examined, and the rest of the host
// notices nothing.
func TestShadowOfStorm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", carrier)
	p := r.edge.launchWith(t, relayFile, "--shadow")
	p.expect(t, "shadow: nothing is steered")
	flows := []net.Conn{}
	for range 8 {
		flows = append(flows, r.client.dial(t, "udp", dstV4+":9"))
	}
	sent := 0
	for ; sent < 200_000; sent++ {
		flows[sent%len(flows)].Write([]byte("x"))
	}
	p.awaitCounted(t, "v4", "8 seen, would map[steer:8], today map[silent:8]; 8 silent/steer udp 192.0.2.0/24:9")
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t); status != 0 {
		t.Errorf("the rehearsal ended with %d", status)
	}
}
