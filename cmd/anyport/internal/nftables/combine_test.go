package nftables

import (
	"os"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/ruleset"
)

func file(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestParseBoth: of a host with rules of iptables, each form knows rules that the other does not.
func TestParseBoth(t *testing.T) {
	text, json := file(t, "testdata/iptables-nft.nft"), file(t, "testdata/iptables-nft.json")
	s, err := ParseBoth(text, json)
	if err != nil {
		t.Fatal(err)
	}
	nat := rulesOf(t, s, "nat", "PREROUTING")
	if redirect := nat[0]; redirect.Unknown != "" || redirect.To.Ports.First != 8080 || redirect.Line == 0 {
		t.Errorf("the text has the port of REDIRECT: %+v", redirect)
	}
	if inText := rulesOf(t, parsedText(t, text), "nat", "PREROUTING")[1]; inText.Unknown == "" {
		t.Errorf("the text does not say that nothing is missing: %+v", inText)
	}
	if commented := nat[1]; commented.Unknown != "" || commented.Action != ruleset.Jump || commented.Line == 0 {
		t.Errorf("the JSON has the match that is a comment: %+v", commented)
	}
	if tproxied := rulesOf(t, s, "mangle", "PREROUTING")[1]; !strings.Contains(tproxied.Unknown, "iptables-save") {
		t.Errorf("no form has the port of TPROXY: %+v", tproxied)
	}
}

// TestParseBothBrokenOff: nft 1.0.6 prints no more JSON after a table with flags.
func TestParseBothBrokenOff(t *testing.T) {
	text, json := file(t, "testdata/any-port-dnat.nft"), file(t, "testdata/any-port-dnat.json")
	for _, other := range []string{json[:len(json)/2], `{"nftables": []}`, json} {
		s, err := ParseBoth(text, other)
		if err != nil {
			t.Fatal(err)
		}
		if rules := rulesOf(t, s, "nat", "prerouting"); len(rules) != 11 {
			t.Errorf("%d rules", len(rules))
		}
	}
}

func rulesOf(t *testing.T, s *ruleset.Ruleset, table, chain string) []*ruleset.Rule {
	t.Helper()
	for _, c := range s.Chains {
		if c.Table == table && c.Name == chain {
			return c.Rules
		}
	}
	t.Fatalf("no chain %s in %s", chain, table)
	return nil
}
