package importer_test

import (
	"path/filepath"
	"testing"

	"anyport/cmd/anyport/internal/importer"
)

// TestScript: the steps for a set-up of iptables with a socket match before the rule, and for one of nftables.
func TestScript(t *testing.T) {
	for file, iptables := range map[string]bool{
		"testdata/haproxy-guide.rules": true, "../nftables/testdata/kernel-tproxy.nft": false,
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
		compareGolden(t, filepath.Join("testdata", name), result.Script(rules, options, iptables))
	}
}
