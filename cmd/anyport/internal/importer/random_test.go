package importer_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/importer"
	"anyport/cmd/anyport/internal/iptables"
	"anyport/config"
)

// TestRandom: random rules, and the routes that they become, do the same with random packets.
func TestRandom(t *testing.T) {
	t.Parallel()
	const seeds = 300
	imported, refused := 0, 0
	for seed := range uint64(seeds) {
		random := rand.New(rand.NewPCG(seed, 7))
		text := randomRules(random)
		rules, err := iptables.Parse(text, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		options := importer.Options{Origin: "10.9.9.9", Unmatched: []config.Action{config.Refuse, config.Pass}[random.IntN(2)]}
		result, err := importer.Import(rules, options)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		nothingLost(t, rules, result)
		if len(result.Draft.Routes) == 0 {
			refused++
			continue
		}
		imported++
		found, err := result.Verify(rules, options, 3000, seed)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s\n%s", seed, err, text, textOf(t, result))
		}
		if len(found.Differences) > 0 {
			var b strings.Builder
			_ = found.Write(&b) // a strings.Builder takes it
			t.Fatalf("seed %d:\n%s%s\n%s", seed, b.String(), text, textOf(t, result))
		}
	}
	t.Logf("%d rule sets imported, %d refused", imported, refused)
	if imported < seeds/4 {
		t.Errorf("%d of %d rule sets became routes", imported, seeds)
	}
}

// randomRules makes rules whose conditions overlap: few addresses and ports, nested.
func randomRules(random *rand.Rand) string {
	var b strings.Builder
	b.WriteString("*mangle\n:PREROUTING ACCEPT [0:0]\n:A - [0:0]\n:B - [0:0]\n")
	for range 2 + random.IntN(6) {
		chain := pick(random, "PREROUTING", "PREROUTING", "A", "B")
		jump := map[string]string{"PREROUTING": "A", "A": "B", "B": "RETURN"}[chain] // no loop
		fmt.Fprintf(&b, "-A %s%s -j %s\n", chain, randomMatch(random),
			pick(random, tproxy(random), tproxy(random), tproxy(random), "RETURN", "ACCEPT", "DROP", jump, "MARK --set-xmark 0x1/0x1"))
	}
	b.WriteString("COMMIT\n")
	if random.IntN(3) == 0 {
		b.WriteString("*nat\n:PREROUTING ACCEPT [0:0]\n")
		for range 1 + random.IntN(3) {
			fmt.Fprintf(&b, "-A PREROUTING%s -j %s\n", randomMatch(random), pick(random, "REDIRECT --to-ports 99", "DNAT --to-destination 10.1.1.1:80", "ACCEPT"))
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

func tproxy(random *rand.Rand) string {
	return fmt.Sprintf("TPROXY --on-port %d --on-ip 0.0.0.0 --tproxy-mark 0x1/0xffffffff", 8000+random.IntN(3))
}

func randomMatch(random *rand.Rand) string {
	var b strings.Builder
	if random.IntN(8) > 0 {
		b.WriteString(maybeNot(random, 8) + " -d " + pick(random, "192.0.2.0/24", "192.0.2.0/24", "192.0.2.0/25", "192.0.2.7/32", "192.0.3.0/24", "192.0.2.128/26"))
	}
	if random.IntN(5) == 0 {
		b.WriteString(maybeNot(random, 3) + " -s " + pick(random, "198.51.100.0/24", "198.51.100.7/32", "198.51.100.0/25"))
	}
	if random.IntN(8) == 0 {
		b.WriteString(maybeNot(random, 4) + " -i " + pick(random, "eth0", "eth+", "lo"))
	}
	if random.IntN(8) == 0 {
		b.WriteString(maybeNot(random, 2) + " -m mark --mark 0x1/0x1")
	}
	if random.IntN(20) == 0 {
		b.WriteString(" -m limit --limit 3/sec")
	}
	if random.IntN(4) > 0 {
		b.WriteString(" -p " + pick(random, "tcp", "tcp", "udp"))
		if random.IntN(3) > 0 {
			b.WriteString(maybeNot(random, 5) + " --dport " + pick(random, "22", "80", "1:1023", "1000:2000", "65535", "80:90"))
		}
		if random.IntN(20) == 0 {
			b.WriteString(" --sport 53")
		}
	}
	return b.String()
}

func maybeNot(random *rand.Rand, of int) string {
	if random.IntN(of) == 0 {
		return " !"
	}
	return ""
}

func pick(random *rand.Rand, words ...string) string { return words[random.IntN(len(words))] }
