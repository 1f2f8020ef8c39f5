package switchover

import (
	"path/filepath"
	"testing"

	"anyport/cmd/anyport/internal/goldentest"
)

var policies = []Policy{{"-4", "0x1", 100, []string{"local default dev lo"}}, {"-6", "0x1", 100, []string{"local default dev lo"}}}

// scripts are the set-ups that differ in their steps.
var scripts = map[string]Facts{
	"iptables": {
		File: "anyport.toml", Prefixes: []string{"192.0.2.0/24", "2001:db8:1::/48"}, Drops: true, Policies: policies,
		Rules: []Rule{
			IPTables("iptables", "mangle", "-A PREROUTING -d 192.0.2.0/24 -p tcp -j TPROXY --on-port 9000 --on-ip 127.0.0.1 --tproxy-mark 0x1/0xffffffff", 0),
			IPTables("ip6tables", "mangle", "-A PREROUTING -d 2001:db8:1::/48 -p tcp -j TPROXY --on-port 9000 --on-ip ::1 --tproxy-mark 0x1/0xffffffff", 0),
		},
	},
	"iptables-divert": {
		Prefixes: []string{"192.0.2.0/24"}, First: true, Drops: true, Policies: policies[:1],
		Rules: []Rule{IPTables("iptables-legacy", "mangle", "-A PREROUTING -d 192.0.2.0/24 -p tcp -j TPROXY --on-port 9000 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1", 0)},
		Diverts: []Rule{IPTables("iptables-legacy", "mangle", "-A PREROUTING -p tcp -m socket --transparent -j DIVERT", 0).
			WithChain("iptables-legacy", "mangle", "DIVERT", []string{"-A DIVERT -j MARK --set-mark 1", "-A DIVERT -j ACCEPT"})},
	},
	"nft": {
		File: "anyport.toml", Prefixes: []string{"192.0.2.0/24"}, Policies: policies[:1],
		Rules: []Rule{NFTables("ip", "t", "pre", "ip daddr 192.0.2.0/24 meta l4proto tcp tproxy to 127.0.0.1:9000 meta mark set 0x00000001 accept", 0)},
	},
	"nft-socket": {
		File: "anyport.toml", Prefixes: []string{"192.0.2.0/24"}, First: true, Policies: policies[:1],
		Rules:   []Rule{NFTables("ip", "t", "pre", "ip daddr 192.0.2.0/24 meta l4proto tcp tproxy to 127.0.0.1:9000 meta mark set 0x00000001 accept", 0)},
		Diverts: []Rule{NFTables("ip", "t", "pre", "meta l4proto tcp socket transparent 1 meta mark set 0x00000001 accept", 0)},
	},
}

func TestScripts(t *testing.T) {
	for name, facts := range scripts {
		path := filepath.Join("testdata", name+".sh")
		goldentest.Compare(t, path, Script(facts))
	}
}
