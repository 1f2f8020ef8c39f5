package nftables

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/ruleset"
)

// TestBothForms: the JSON and the text of one ruleset mean the same.
func TestBothForms(t *testing.T) {
	for _, name := range examples(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			fromText, fromJSON := parsed(t, name+".nft"), parsed(t, name+".json")
			if !hasExtensions(fromJSON) {
				compare(t, fromText, fromJSON)
			}
		})
	}
}

// examples are the names of the rulesets in testdata, without ".nft" and ".json".
func examples(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.nft")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d rulesets, %v", len(files), err)
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], ".nft")
	}
	return files
}

func parsed(t testing.TB, file string) *ruleset.Ruleset {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parsedText(t, string(text))
}

func parsedText(t testing.TB, text string) *ruleset.Ruleset {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// hasExtensions: of what iptables-nft wrote, the text has more than the JSON.
func hasExtensions(s *ruleset.Ruleset) bool {
	for _, c := range s.Chains {
		for _, r := range c.Rules {
			if strings.Contains(r.Text, "xt target") {
				return true
			}
		}
	}
	return false
}

// compare takes the line numbers away, which JSON has none of.
func compare(t *testing.T, fromText, fromJSON *ruleset.Ruleset) {
	t.Helper()
	if len(fromText.Chains) != len(fromJSON.Chains) || !reflect.DeepEqual(fromText.Skipped, fromJSON.Skipped) {
		t.Fatalf("%d chains and %v skipped of the text; %d and %v of the JSON",
			len(fromText.Chains), fromText.Skipped, len(fromJSON.Chains), fromJSON.Skipped)
	}
	for i, c := range fromText.Chains {
		other := *fromJSON.Chains[i]
		for j, r := range c.Rules {
			r.Line = 0
			if j >= len(other.Rules) || !reflect.DeepEqual(r, other.Rules[j]) {
				t.Errorf("chain %s, rule %d:\n%+v of the text\n%+v of the JSON", c.Name, r.Number, r, other.Rules[min(j, len(other.Rules)-1)])
			}
		}
		if len(c.Rules) != len(other.Rules) {
			t.Errorf("chain %s: %d rules of the text, %d of the JSON", c.Name, len(c.Rules), len(other.Rules))
		}
		mine := *c
		mine.Rules, other.Rules = nil, nil
		if !reflect.DeepEqual(mine, other) {
			t.Errorf("%+v of the text\n%+v of the JSON", mine, other)
		}
	}
}

// TestIPTablesExtensions: nft does not say what the rules of iptables-nft do; each that may intercept
// asks for iptables-save.
func TestIPTablesExtensions(t *testing.T) {
	for _, file := range []string{"testdata/iptables-nft.nft", "testdata/iptables-nft.json"} {
		var asking int
		for _, c := range parsed(t, file).Chains {
			for _, r := range c.Rules {
				if r.Action == ruleset.Intercept && strings.Contains(r.Unknown, "iptables-save") {
					asking++
				} else if r.Action == ruleset.Intercept && (r.To.Mechanism != ruleset.Redirect || strings.HasSuffix(file, ".json")) {
					t.Errorf("%s: %q is understood", file, r.Text)
				}
			}
		}
		if asking < 3 {
			t.Errorf("%s: %d rules ask for iptables-save", file, asking)
		}
	}
}

// TestHidden: where blanks show that a match of iptables is missing, the rule may or may not match.
func TestHidden(t *testing.T) {
	for line, hidden := range map[string]bool{
		"\t\tip saddr 192.0.2.1 counter packets 0 bytes 0 accept":  false,
		"\t\t counter packets 0 bytes 0 accept":                    true,
		"\t\tmeta l4proto tcp  counter packets 0 bytes 0 accept":   true,
		"\t\tmeta l4proto tcp counter packets 0 bytes 0 ":          true,
		"\t\tmeta l4proto tcp counter packets 0 bytes 0  # handle": true,
		"    ip saddr 192.0.2.1 counter packets 0 bytes 0 accept":  false,
	} {
		r := only(t, "table ip mangle {\n\tchain PREROUTING {\n"+line+"\n\t}\n}\n")
		if (r.Unknown != "") != hidden {
			t.Errorf("%q: %+v", line, r)
		}
	}
}

// TestLostMap: nft 1.0.6 prints no map of ports after tproxy.
func TestLostMap(t *testing.T) {
	r := only(t, "table inet t {\n chain c {\n  meta l4proto tcp tproxy to\n }\n}\n")
	if r.Action != ruleset.Intercept || !strings.Contains(r.Unknown, "nft -j") {
		t.Errorf("%+v", r)
	}
}

// only returns the one rule of a ruleset.
func only(t *testing.T, text string) *ruleset.Rule {
	t.Helper()
	s := parsedText(t, text)
	if len(s.Chains) != 1 || len(s.Chains[0].Rules) != 1 {
		t.Fatalf("%d chains, of them the first: %+v", len(s.Chains), s.Chains[0])
	}
	return s.Chains[0].Rules[0]
}
