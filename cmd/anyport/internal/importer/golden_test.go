package importer_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/goldentest"
	"anyport/cmd/anyport/internal/importer"
	"anyport/cmd/anyport/internal/iptables"
	"anyport/cmd/anyport/internal/nftables"
	"anyport/cmd/anyport/internal/ruleset"
	"anyport/config"
)

// TestGolden: rule sets in the shapes of public deployments, each with the file and the report that
// import makes of it. The routes do with random packets what the rules do.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.rules")
	native, nativeErr := filepath.Glob("../nftables/testdata/*.nft")
	if files = append(files, native...); err != nil || nativeErr != nil || len(files) < 50 {
		t.Fatalf("%d rule sets, %v, %v", len(files), err, nativeErr)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".rules")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules, options := read(t, file)
			result, err := importer.Import(rules, options)
			if err != nil {
				t.Fatal(err)
			}
			goldentest.Compare(t, filepath.Join("testdata", name+".golden"), textOf(t, result))
			if len(result.Draft.Routes) > 0 {
				verify(t, result, rules, options, 20_000)
			}
			nothingLost(t, rules, result)
		})
	}
}

// read takes the options from lines such as "# --prefix 192.0.2.0/24" at the head of a file.
func read(t *testing.T, file string) (*ruleset.Ruleset, importer.Options) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options := importer.Options{Unmatched: config.Refuse}
	var sets *iptables.Sets
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "#" || !strings.HasPrefix(words[1], "--") {
			continue
		}
		switch words[1] {
		case "--prefix":
			options.Prefixes = append(options.Prefixes, netip.MustParsePrefix(words[2]))
		case "--local":
			options.Local, options.LocalKnown = append(options.Local, netip.MustParsePrefix(words[2])), true
		case "--origin":
			options.Origin = words[2]
		case "--interface":
			options.Interface = words[2]
		case "--unmatched":
			options.Unmatched = config.Pass
		case "--ipset":
			saved, err := os.ReadFile(filepath.Join("testdata", words[2]))
			if err != nil {
				t.Fatal(err)
			}
			if sets, err = iptables.ParseSets(string(saved)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if strings.HasSuffix(file, ".nft") {
		rules, err := nftables.Parse(string(data))
		if err != nil {
			t.Fatal(err)
		}
		return rules, options
	}
	rules, err := iptables.Parse(string(data), sets)
	if err != nil {
		t.Fatal(err)
	}
	return rules, options
}

func textOf(t *testing.T, result *importer.Result) string {
	t.Helper()
	var b strings.Builder
	if err := result.Draft.Write(&b); err != nil {
		t.Fatal(err)
	}
	b.WriteString("\n--- report\n")
	if err := result.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func verify(t *testing.T, result *importer.Result, rules *ruleset.Ruleset, options importer.Options, packets int) {
	t.Helper()
	found, err := result.Verify(rules, options, packets, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Differences) > 0 {
		var b strings.Builder
		_ = found.Write(&b) // a strings.Builder takes it
		t.Errorf("\n%s%s", b.String(), textOf(t, result))
	}
	if found.Intercepted == 0 {
		t.Error("no random packet met a route")
	}
}

// nothingLost: each rule that intercepts stands in the report, or is another program's.
func nothingLost(t *testing.T, rules *ruleset.Ruleset, result *importer.Result) {
	t.Helper()
	reported := map[*ruleset.Rule]bool{}
	for _, l := range result.Report {
		reported[l.Rule] = true
	}
	for _, c := range rules.Chains {
		for _, r := range c.Rules {
			named := strings.Contains(r.Text, "TPROXY") || strings.Contains(r.Text, "REDIRECT") || strings.Contains(r.Text, "DNAT") || strings.Contains(r.Text, "tproxy ") || strings.Contains(r.Text, "redirect") || strings.Contains(r.Text, "dnat ")
			if named && c.Owner == "" && !reported[r] {
				t.Errorf("rule %d of %s is lost: %s", r.Number, c.Name, r.Text)
			}
		}
	}
}
