package nftables

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/ruleset"
	"anyport/steering/netnstest"
)

// probe is a table that sees packets before and after all rules of prerouting. After them it notes the
// socket that a packet was given to, by the socket's mark.
const probe = `table inet probe {
	set arrived { type inet_service; flags dynamic; size 65535; }
	set took { type inet_service . mark; flags dynamic; size 65535; }
	set seen4 { type inet_service . ipv4_addr . inet_service; flags dynamic; size 65535; }
	set seen6 { type inet_service . ipv6_addr . inet_service; flags dynamic; size 65535; }
	chain before { type filter hook prerouting priority -500
		meta l4proto { tcp, udp } add @arrived { th sport }
	}
	chain after { type filter hook prerouting priority 500
		meta l4proto != { tcp, udp } accept
		add @took { th sport . socket mark }
		add @seen4 { th sport . ip daddr . th dport }
		add @seen6 { th sport . ip6 daddr . th dport }
	}
}
`

// seen is what became of one packet.
type seen struct {
	passed      bool
	destination netip.AddrPort
	socket      uint32 // its mark, 0: none
}

// TestKernel sends packets through each ruleset, and compares what the kernel does with the walk.
func TestKernel(t *testing.T) {
	for _, name := range examples(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			netnstest.InNamespace(t)
			addVeth(t)
			addAddresses(t)
			if filepath.Base(name) == "iptables-nft" {
				t.Skip("nft prints no rules that could be loaded")
			}
			load(t, name+".nft")
			rules := parsedText(t, nft(t, "-j", "list", "ruleset"))
			listen(t, rules)
			load(t, written(t, probe))
			packets := packetsFor(rules, 400)
			send(t, packets)
			compareWalk(t, rules, packets, observed(t, packets))
		})
	}
}

func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.nft")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// listen opens a transparent socket for each target of tproxy, with the port as its mark.
func listen(t *testing.T, rules *ruleset.Ruleset) {
	t.Helper()
	for port := range targetPorts(rules) {
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			listenAt(t, kind, unix.AF_INET, &unix.SockaddrInet4{Port: int(port)}, port)
			listenAt(t, kind, unix.AF_INET6, &unix.SockaddrInet6{Port: int(port)}, port)
		}
	}
}

func listenAt(t *testing.T, kind, family int, at unix.Sockaddr, mark uint32) {
	t.Helper()
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	level, transparent := unix.SOL_IP, unix.IP_TRANSPARENT
	if family == unix.AF_INET6 {
		level, transparent = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
		err = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 1)
	}
	for _, step := range []func() error{
		func() error { return err },
		func() error { return unix.SetsockoptInt(fd, level, transparent, 1) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)) },
		func() error { return unix.Bind(fd, at) },
		func() error {
			if kind == unix.SOCK_STREAM {
				return unix.Listen(fd, 16)
			}
			return nil
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// targetPorts are those of sockets that tproxy looks for.
func targetPorts(rules *ruleset.Ruleset) map[uint32]bool {
	ports := map[uint32]bool{}
	for _, c := range rules.Chains {
		for _, r := range c.Rules {
			if r.Action == ruleset.Intercept && r.To.Mechanism == ruleset.TProxy && r.To.Ports.First > 0 {
				ports[r.To.Ports.First] = true
			}
		}
	}
	return ports
}

// observed waits until all packets have arrived, and returns what became of each, by its source port.
func observed(t *testing.T, packets []ruleset.Packet) map[uint16]*seen {
	t.Helper()
	all := map[uint16]*seen{}
	for _, p := range packets {
		all[p.Source.Port()] = &seen{}
	}
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		arrived := 0
		for _, m := range elementsOf(t, "arrived") {
			if all[uint16(number64(m[0]))] != nil { // the host sends some of its own
				arrived++
			}
		}
		if arrived == len(packets) {
			break
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%d of %d packets arrived", arrived, len(packets))
		}
	}
	time.Sleep(50 * time.Millisecond) // the last is between the two chains
	for _, set := range []string{"seen4", "seen6"} {
		for _, m := range elementsOf(t, set) {
			s := all[uint16(number64(m[0]))]
			if s == nil {
				continue
			}
			s.passed, s.destination = true, netip.AddrPortFrom(netip.MustParseAddr(m[1].(string)), uint16(number64(m[2])))
		}
	}
	for _, m := range elementsOf(t, "took") {
		if s := all[uint16(number64(m[0]))]; s != nil {
			s.socket = uint32(number64(m[1]))
		}
	}
	return all
}

func number64(v any) int64 {
	n, _ := v.(json.Number).Int64()
	return n
}

// elementsOf returns the elements of a set of the probe.
func elementsOf(t *testing.T, set string) [][]any {
	t.Helper()
	var all struct{ Nftables []map[string]json.RawMessage }
	if err := decode(nft(t, "-j", "list", "set", "inet", "probe", set), &all); err != nil {
		t.Fatal(err)
	}
	var elements [][]any
	for _, entry := range all.Nftables {
		var o object
		if raw := entry["set"]; raw != nil && decode(string(raw), &o) == nil {
			for _, e := range o.Elem {
				if value, is := field(e, "concat").([]any); is {
					elements = append(elements, value)
				} else {
					elements = append(elements, []any{e})
				}
			}
		}
	}
	return elements
}

// compareWalk leaves out what the walk is not sure of.
func compareWalk(t *testing.T, rules *ruleset.Ruleset, packets []ruleset.Packet, kernel map[uint16]*seen) {
	t.Helper()
	w := ruleset.NewWalker(rules)
	counts := map[ruleset.Verdict]int{}
	unsure := 0
	for _, p := range packets {
		outcome, k := w.Walk(p), kernel[p.Source.Port()]
		if len(outcome.Unsure) > 0 || outcome.Also != nil {
			unsure++
			continue
		}
		counts[outcome.Verdict]++
		if !agrees(outcome, p, *k) {
			t.Errorf("%+v: %v by rule %+v; the kernel: %+v", p, outcome.Verdict, outcome.Rule, *k)
		}
	}
	t.Logf("%v, unsure: %d", counts, unsure)
	if unsure > len(packets)*9/10 {
		t.Errorf("the walk is unsure of %d of %d packets", unsure, len(packets))
	}
}

func agrees(o ruleset.Outcome, p ruleset.Packet, k seen) bool {
	changed := k.destination != p.Destination
	switch {
	case o.Verdict == ruleset.Dropped || o.Verdict == ruleset.Rejected:
		return !k.passed
	case o.Verdict == ruleset.Untouched:
		return k.passed && !changed && k.socket == 0
	case o.Rule.To.Mechanism == ruleset.TProxy:
		return k.passed && !changed && k.socket == o.Rule.To.Ports.First
	}
	to := o.Rule.To
	port := uint32(k.destination.Port())
	rightPort := to.Ports.First <= port && port <= to.Ports.Last || to.Ports.Last == 0 && port == uint32(p.Destination.Port())
	rightAddress := !to.Address.IsValid() || to.Address == k.destination.Addr() || to.Last.IsValid()
	return k.passed && changed && rightPort && rightAddress
}

// pick returns one of values.
func pick[T any](random *rand.Rand, values []T) T { return values[random.IntN(len(values))] }
