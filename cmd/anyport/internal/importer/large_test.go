package importer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/importer"
	"anyport/cmd/anyport/internal/iptables"
	"anyport/config"
)

// TestVerifyManyPrefixes: one rule with a set of 20,000 addresses. A comparison that searches all prefixes
// of the route for each packet takes minutes here, and else a second.
func TestVerifyManyPrefixes(t *testing.T) {
	var saved strings.Builder
	saved.WriteString("create served hash:net family inet\n")
	for i := range 20_000 {
		fmt.Fprintf(&saved, "add served 192.%d.%d.%d\n", i*2>>16, i*2>>8&255, i*2&255)
	}
	sets, err := iptables.ParseSets(saved.String())
	if err != nil {
		t.Fatal(err)
	}
	rules, err := iptables.Parse("*mangle\n-A PREROUTING -p tcp -m set --match-set served dst -j TPROXY --on-port 1\nCOMMIT\n", sets)
	if err != nil {
		t.Fatal(err)
	}
	options := importer.Options{Unmatched: config.Refuse, Origin: "10.0.0.5"}
	result, err := importer.Import(rules, options)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	verify(t, result, rules, options, 200_000)
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("200,000 packets took %v", took)
	}
}
