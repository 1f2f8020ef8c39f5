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

// TestVerifyLargeSets: one rule with a set of 20,000 elements. If an import or a comparison searches all of them for each
// packet, it takes many minutes here, and else seconds.
func TestVerifyLargeSets(t *testing.T) {
	t.Run("addresses", func(t *testing.T) {
		verifyLargeSet(t, "hash:net", "dst", func(address string, _ int) string { return address })
	})
	t.Run("addresses and ports", func(t *testing.T) {
		verifyLargeSet(t, "hash:ip,port", "dst,dst", func(address string, i int) string { return fmt.Sprintf("%s,tcp:%d", address, 80+i%2) })
	})
}

func verifyLargeSet(t *testing.T, kind, directions string, element func(address string, i int) string) {
	t.Helper()
	var saved strings.Builder
	fmt.Fprintf(&saved, "create served %s family inet\n", kind)
	for i := range 20_000 {
		fmt.Fprintf(&saved, "add served %s\n", element(fmt.Sprintf("192.%d.%d.%d", i*2>>16, i*2>>8&255, i*2&255), i))
	}
	sets, err := iptables.ParseSets(saved.String())
	if err != nil {
		t.Fatal(err)
	}
	rules, err := iptables.Parse("*mangle\n-A PREROUTING -p tcp -m set --match-set served "+directions+" -j TPROXY --on-port 1\nCOMMIT\n", sets)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	options := importer.Options{Unmatched: config.Refuse, Origin: "10.0.0.5"}
	result, err := importer.Import(rules, options)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, result, rules, options, 200_000)
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}
