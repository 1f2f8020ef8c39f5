package importer_test

import (
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/goldentest"
	"anyport/cmd/anyport/internal/importer"
	"anyport/cmd/anyport/internal/iptables"
	"anyport/cmd/anyport/internal/nftables"
	"anyport/config"
)

// TestScript: the steps for a set-up of iptables with a socket match before the rule, and for one of nftables.
func TestScript(t *testing.T) {
	for file, iptables := range map[string]bool{
		"testdata/haproxy-guide.rules": true, "testdata/tproxy-rst-prefix.rules": true, "testdata/honeypot-redirect.rules": true, "../nftables/testdata/kernel-tproxy.nft": false,
	} {
		rules, options := read(t, file)
		options.Policy = []importer.PolicyRule{
			{Family: "ip", Mark: "0x1", Table: 100, Routes: []string{"local default dev lo"}},
			{Family: "ip", Mark: "0x2", Table: 200, Routes: []string{"default dev wan"}}, // not of a TPROXY set-up
			{Family: "ip", Mark: "0x3", Table: 300},                                      // not known: its routes may come and go
		}
		result, err := importer.Import(rules, options)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file) + ".script"
		goldentest.Compare(t, filepath.Join("testdata", name), result.Script(rules, options, iptables))
	}
}

// TestScriptPositions: a rule before one that stays is put back at its place. Appended, it would never be reached.
func TestScriptPositions(t *testing.T) {
	const last = "-A PREROUTING -d 192.0.2.0/24 -p tcp -j DROP\n"
	for _, c := range []struct{ after, want string }{
		{last, "iptables -t mangle -I PREROUTING 2 -d 192.0.2.0/24 -p tcp -m tcp --dport 80 -j TPROXY --on-port 1\n"},
		{"", "iptables -t mangle -A PREROUTING -d 192.0.2.0/24 -p tcp -m tcp --dport 80 -j TPROXY --on-port 1\n"},
	} {
		rules, err := iptables.Parse("*mangle\n-A PREROUTING -p udp -j ACCEPT\n-A PREROUTING -d 192.0.2.0/24 -p tcp -m tcp --dport 80 -j TPROXY --on-port 1\n"+c.after+"COMMIT\n", nil)
		if err != nil {
			t.Fatal(err)
		}
		result, err := importer.Import(rules, importer.Options{Unmatched: config.Refuse})
		if err != nil {
			t.Fatal(err)
		}
		if script := result.Script(rules, importer.Options{}, true); strings.Count(script, c.want) != 2 {
			t.Errorf("no %q in\n%s", c.want, script)
		}
	}
	nft := "table ip t {\n\tchain pre {\n\t\ttype filter hook prerouting priority mangle; policy accept;\n\t\tip daddr 192.0.2.0/24 tcp dport 80 tproxy to :1 accept\n\t\tip daddr 192.0.2.0/24 drop\n\t}\n}\n"
	rules, err := nftables.Parse(nft)
	if err != nil {
		t.Fatal(err)
	}
	result, err := importer.Import(rules, importer.Options{Unmatched: config.Refuse})
	if err != nil {
		t.Fatal(err)
	}
	want := "nft 'insert rule ip t pre index 0 ip daddr 192.0.2.0/24 tcp dport 80 tproxy to :1 accept'"
	if script := result.Script(rules, importer.Options{}, false); !strings.Contains(script, want) {
		t.Errorf("no %q in\n%s", want, script)
	}
}
