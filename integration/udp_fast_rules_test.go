package integration

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// obstacle is something that packets meet and that the fast path would go round.
type obstacle struct {
	name            string
	appears, goes   []string // commands on the edge
	seen, packets   string   // the command that prints the number, and where it stands
	device, because string   // which status names, and why
	blocks          []string // commands that have it drop what is for 192.0.2.200; nil: it can't
}

var obstacles = []obstacle{
	{
		name:    "nft",
		appears: []string{`nft add table inet t`, `nft add chain inet t c { type filter hook prerouting priority 0 ; }`, `nft add rule inet t c udp dport 4711-4712 counter`},
		goes:    []string{`nft delete table inet t`},
		seen:    `nft list table inet t`, packets: `counter packets (\d+)`,
		device: "client0", because: "nft table inet t, chain c has rules",
		blocks: []string{`nft insert rule inet t c ip daddr 192.0.2.200 drop`},
	},
	{
		name:    "iptables-legacy",
		appears: []string{`iptables-legacy -t mangle -A PREROUTING -p udp --dport 4711:4712`},
		goes:    []string{`iptables-legacy -t mangle -F`},
		seen:    `iptables-legacy -t mangle -nvxL PREROUTING`, packets: `(\d+) +\d+ .*dpts:4711:4712`,
		device: "client0", because: "iptables",
		blocks: []string{`iptables-legacy -t mangle -I PREROUTING -d 192.0.2.200 -j DROP`},
	},
	{
		name:    "a filter of tc",
		appears: []string{`tc filter add dev client0 ingress protocol ip pref 9 u32 match ip protocol 17 0xff flowid 1:1`},
		goes:    []string{`tc filter delete dev client0 ingress`},
		device:  "client0", because: "filter of tc at the ingress of client0",
	},
}

// TestFastPathUnderRules: rules appear and go while the kernel forwards flows. From the moment that status
// names them all datagrams meet them, and when they are gone the flows go back to the kernel. No datagram is
// lost but those that the rules drop.
func TestFastPathUnderRules(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	r.edge.output(t, needTool(t, "tc"), "qdisc", "add", "dev", "client0", "clsact") // which itself loses what is being sent
	p := r.edge.serveWith(t, fastStormFile)
	s := r.newFastStorm(t, p)
	conn := r.client.dial(t, "udp", "192.0.2.200:4711")
	ask := func() { trade(t, conn, "again"); s.stayed.Add(1) }
	for range 16 {
		ask()
	}
	s.flows++
	for range soak(1, 20) {
		for _, o := range obstacles {
			s.settlesWith(t, ask)
			r.edge.commands(t, o.appears)
			eventually(t, o.name+" is named", func() bool { return strings.Contains(p.fastOff(t, o.device), o.because) })
			s.meets(t, r.edge, o)
			ask()
			r.edge.commands(t, o.blocks)
			if o.blocks != nil && heard(conn, "let in?", silence) {
				t.Errorf("%s: a datagram that it drops was answered", o.name)
			}
			r.edge.commands(t, o.goes)
			eventually(t, o.name+" is gone", func() bool { return p.fastOff(t, o.device) == "" })
			conn.SetDeadline(time.Now().Add(patience))
		}
	}
	s.settlesWith(t, ask)
	s.counts(t)
}

// meets waits until all datagrams to the edge meet o, and none goes round it.
func (s *fastStorm) meets(t *testing.T, h *host, o obstacle) {
	t.Helper()
	eventually(t, "all datagrams meet "+o.name, func() bool {
		seen, fast, answered := o.count(t, h), fastTotal(s.proxy.status(t)), s.stayed.Load()
		eventually(t, "the flows go on", func() bool { return t.Failed() || s.stayed.Load() > answered+int64(20*s.flows) })
		met := s.stayed.Load() - answered - int64(4*s.flows) // some were on their way
		return t.Failed() || fastTotal(s.proxy.status(t)) == fast && (o.seen == "" || o.count(t, h) >= seen+uint64(met))
	})
}

// commands runs commands on a host, whose words have no spaces.
func (h *host) commands(t *testing.T, lines []string) {
	t.Helper()
	for _, line := range lines {
		words := strings.Fields(line)
		h.output(t, needTool(t, words[0]), words[1:]...)
	}
}

// count is how many datagrams o has seen.
func (o *obstacle) count(t *testing.T, h *host) (n uint64) {
	t.Helper()
	if o.seen == "" {
		return 0
	}
	words := strings.Fields(o.seen)
	out := h.output(t, words[0], words[1:]...)
	found := regexp.MustCompile(o.packets).FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("%s prints no number:\n%s", o.seen, out)
	}
	fmt.Sscan(found[1], &n)
	return n
}

// fastOff is why the kernel does not forward flows over a device; "": it does.
func (p *proxy) fastOff(t *testing.T, device string) string {
	t.Helper()
	var s struct {
		Steering struct {
			FastPath struct {
				Off     string
				Devices []struct{ Name, Off string }
			} `json:"fast_path"`
		}
	}
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	for _, d := range s.Steering.FastPath.Devices {
		if d.Name == device {
			return d.Off
		}
	}
	return "the device is not there"
}

// settlesWith is settles, with one more flow.
func (s *fastStorm) settlesWith(t *testing.T, ask func()) {
	t.Helper()
	eventually(t, "the kernel forwards all flows", func() bool {
		ask()
		flows, _, _ := s.inKernel(t)
		return t.Failed() || flows == s.flows
	})
	s.settles(t)
}
