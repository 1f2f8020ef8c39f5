package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// TestAccessLogOfFlood sends thousands of datagrams that begin no flow, or begin flows
// that are never answered and give way. The access log has a few lines about them,
// whose counts equal those of the status. A flow that was served has its own line.
func TestAccessLogOfFlood(t *testing.T) {
	t.Parallel()
	const flood = 5000
	access := t.TempDir() + "/access.log"
	r := newRig(t)
	r.client.route(t, "203.0.113.0/24", edgeV4)
	r.client.route(t, "198.18.0.0/24", edgeV4)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	r.origin.listenPacket(t, "10.0.0.6:9") // and never answers
	p := r.edge.launch(t, fmt.Sprintf(`[log]
format = "json"
access = %q
[route.drained]
protocol = "udp"
prefixes = [%q]
origins  = ["10.0.0.5"]
[route.few]
protocol  = "udp"
prefixes  = ["203.0.113.0/24"]
origins   = ["10.0.0.6:9"]
max_flows = 50
[route.served]
protocol = ["tcp", "udp"]
prefixes = ["198.18.0.0/24"]
origins  = ["10.0.0.5"]
udp_idle_timeout = "1s"
`, access, servedV4))
	p.expect(t, `"serving"`)
	if got := anyport(t, "drain", "--route", "drained", "--socket", p.socket); got.status != 0 {
		t.Fatalf("drain: %+v", got)
	}
	flow := r.client.dial(t, "udp", "198.18.0.7:4711")
	trade(t, flow, "question")

	sender := r.client.listenPacket(t, clientV4+":0")
	for n := range flood { // a flow each, as from as many forged clients
		for _, dst := range []string{"192.0.2.7", "203.0.113.7"} {
			to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(dst), uint16(10_000+n)))
			if _, err := sender.WriteTo([]byte("x"), to); err != nil {
				t.Fatal(err)
			}
		}
		if n%100 == 0 {
			trade(t, flow, "keep pace")
		}
	}
	want := map[string]uint64{}
	eventually(t, "what is counted is logged", func() bool {
		want = p.refusals(t)
		return fmt.Sprint(accessSums(t, access)) == fmt.Sprint(want) && want["drained draining"] > flood/2 && want["few evicted"] > flood/2
	})
	eventually(t, "the served flow has its line", func() bool {
		text, err := os.ReadFile(access)
		return err == nil && strings.Contains(string(text), `"route":"served"`) && strings.Contains(string(text), `"verdict":"idle_timeout"`)
	})
	text, err := os.ReadFile(access)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 200 {
		t.Errorf("%d lines for %v", lines, want)
	}
}

// refusals counts the refused flows by route and verdict, as the status has them.
func (p *proxy) refusals(t *testing.T) map[string]uint64 {
	t.Helper()
	var s struct {
		Routes []struct {
			Name  string
			Ended map[string]map[string]uint64
		}
	}
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, r := range s.Routes {
		for verdict, n := range r.Ended["udp"] {
			if verdict != "idle_timeout" {
				counts[r.Name+" "+verdict] = n
			}
		}
	}
	return counts
}

// accessSums adds up the counts of the access log.
func accessSums(t *testing.T, path string) map[string]uint64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for line := range strings.Lines(string(text)) {
		var sum struct {
			Route, Verdict string
			Count          uint64
		}
		if !strings.HasSuffix(line, "\n") { // it is being written
			continue
		}
		if err := json.Unmarshal([]byte(line), &sum); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if sum.Count > 0 {
			counts[sum.Route+" "+sum.Verdict] += sum.Count
		}
	}
	return counts
}
