package nftables

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/ruleset"
)

// inChain is a rule as text, in a chain of a table with a set.
func inChain(rule string) string {
	return "table inet t {\n\tset s {\n\t\ttype inet_service\n\t\telements = { 80, 443 }\n\t}\n\tchain c {\n" +
		"\t\ttype filter hook prerouting priority mangle; policy accept;\n\t\t" + rule + "\n\t}\n}\n"
}

// TestMaskedFlags: the first packet of a conn has SYN alone of the flags that a mask names.
func TestMaskedFlags(t *testing.T) {
	p := ruleset.Packet{Protocol: 6, Source: netip.MustParseAddrPort("198.51.100.7:1"), Destination: netip.MustParseAddrPort("192.0.2.7:80"), Interface: "eth0"}
	for flags, drops := range map[string]bool{
		"syn / syn": true, "syn / syn,ack": true, "syn / fin,syn,rst,ack": true, "& (syn | ack) == syn": true,
		"syn,ack / syn,ack": false, "ack / syn,ack": false, "ack / ack": false, "fin / fin,rst": false, "rst / fin,syn,rst,ack": false,
		"0x0 / syn": false, "0x0 / ack": true, "0x0 / fin,rst": true,
		"!= syn / fin,syn,rst,ack": false, "!= syn,ack / syn,ack": true, "!= ack / syn,ack": true,
	} {
		s, err := Parse(inChain("tcp flags " + flags + " drop"))
		if err != nil {
			t.Fatalf("%s: %v", flags, err)
		}
		got := ruleset.NewWalker(s).Walk(p)
		if len(got.Unsure) > 0 || (got.Verdict == ruleset.Dropped) != drops {
			t.Errorf("tcp flags %s: %v, unsure %v; it drops: %t", flags, got.Verdict, got.Unsure, drops)
		}
	}
}

// TestSpellings: what versions of nft print in different ways means the same.
func TestSpellings(t *testing.T) {
	for _, same := range [][]string{
		{"tcp flags syn / fin,syn,rst,ack accept", "tcp flags & (fin | syn | rst | ack) == syn accept", "tcp flags & (fin|syn|rst|ack) == syn accept"},
		{"meta mark set meta mark & 0xffffff00 | 0x00000001", "meta mark set mark and 0xffffff00 or 0x1", "mark set mark and 0xffffff00 or 0x1"},
		{"iifname \"eth0\" accept", "meta iifname eth0 accept # handle 12", "iifname eth0 counter packets 1 bytes 2 accept"},
		{"tcp dport @s accept", "tcp dport { 80, 443 } accept", "tcp dport { http, https } accept", "tcp dport { 80, 443, } accept"},
		{"ct state new,established accept", "ct state { new, established } accept", "ct state { new,\n\t\t\testablished } accept"},
		{"reject", "reject with icmpx port-unreachable", "reject with icmpx type port-unreachable"},
		{"tcp dport 1-1023 drop", "tcp dport < 1024 tcp dport != 0 drop"},
		{"meta l4proto tcp xt target \"TPROXY\"", "meta l4proto tcp xt target TPROXY"},
	} {
		first := behaviour(t, same[0])
		for _, other := range same[1:] {
			if got := behaviour(t, other); !reflect.DeepEqual(got, first) {
				t.Errorf("%s: %v\n%s: %v", same[0], first, other, got)
			}
		}
	}
}

// behaviour is what a rule does with packets, and why it is not understood.
func behaviour(t *testing.T, rule string) []string {
	t.Helper()
	var all []string
	for _, r := range parsedText(t, inChain(rule)).Chains[0].Rules {
		for _, port := range []uint16{1, 80, 443, 1023, 1024} {
			p := ruleset.Packet{Protocol: 6, Interface: "eth0", Source: netip.MustParseAddrPort("203.0.113.1:1000"),
				Destination: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port)}
			holds := true
			for _, c := range r.Conditions {
				holds = holds && c.Holds(p)
			}
			all = append(all, fmt.Sprint(port, holds, r.Action, r.SetMark, r.Unknown))
		}
	}
	return all
}

// TestNewerJSON: nft 1.1 has flags as one string, types as the expressions they come from, and more
// operands in one operation.
func TestNewerJSON(t *testing.T) {
	s := parsedText(t, `{"nftables": [
 {"metainfo": {"version": "1.1.3", "json_schema_version": 1}},
 {"table": {"family": "inet", "name": "t", "handle": 1, "flags": "persist"}},
 {"set": {"family": "inet", "name": "s", "table": "t", "type": {"typeof": {"payload": {"protocol": "ip", "field": "daddr"}}}, "flags": "interval",
  "elem": [{"prefix": {"addr": "192.0.2.0", "len": 24}}, {"elem": {"val": "203.0.113.1", "counter": {"packets": 0, "bytes": 0}}}]}},
 {"chain": {"family": "inet", "table": "t", "name": "c", "handle": 2, "type": "filter", "hook": "prerouting", "prio": -150, "policy": "accept"}},
 {"rule": {"family": "inet", "table": "t", "chain": "c", "handle": 3, "expr": [
  {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "@s"}},
  {"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"|": [{"&": [{"meta": {"key": "mark"}}, 4294967040]}, 1, 2]}}},
  {"tproxy": {"family": "ip", "port": 1234}}, {"accept": null}]}}]}`)
	r := s.Chains[0].Rules[0]
	want := &ruleset.Mark{Value: 3, Mask: 0xff}
	if r.Action != ruleset.Intercept || !reflect.DeepEqual(r.SetMark, want) || r.Unknown != "" || r.To.Ports.First != 1234 {
		t.Errorf("%+v, mark %+v", r, r.SetMark)
	}
	if ranges := r.Conditions[1].Any[0][0].Addresses; len(ranges) != 2 {
		t.Errorf("%v", ranges)
	}
}

// TestReasons: what has no equal says why, and where.
func TestReasons(t *testing.T) {
	for rule, reason := range map[string]string{
		"meta skuid 0 tproxy ip to :1 accept":                          "owner",
		"iifgroup 3 accept":                                            "groups of interfaces",
		"limit rate 5/second accept":                                   "rate",
		"quota over 5 mbytes drop":                                     "quota",
		"socket cgroupv2 level 2 \"system.slice/x\" accept":            "sockets",
		"numgen random mod 2 vmap { 0 : accept, 1 : drop }":            "chance",
		"ether saddr 00:11:22:33:44:55 drop":                           "Ethernet",
		"meta mark set ct mark accept":                                 "constant",
		"meta mark 1 meta mark set 2 tcp dport 80 accept":              "asks for a mark",
		"ip daddr @missing accept":                                     "no set @missing",
		"fib daddr . iif type local accept":                            "routing table",
		"tcp dport 80 queue to 1":                                      "another program",
		"meta l4proto tcp dnat to :8080":                               "no origin",
		"ip daddr set 192.0.2.1 accept":                                "changes ip daddr",
		"tcp dport 80 frobnicate 3 accept":                             "not understood",
		"meta mark vmap { 1 : jump c, 2 : jump c }":                    "may change the mark",
		"dnat ip prefix to ip daddr map { 10.0.0.0/24 : 10.1.0.0/24 }": "maps a network",
		"iifname \"eth+\" accept":                                      "iifname",
		"meta l4proto tcp tproxy ip to :80 tcp dport 80 accept":        "tproxy has taken",
		"meta l4proto tcp tproxy ip to :80 drop":                       "undoes",
		"tcp dport { 80, 443 } ct count over 10 drop":                  "number of conns",
		"update @s { tcp dport limit rate 3/minute } drop":             "full",
	} {
		s := parsedText(t, inChain(rule))
		var reasons []string
		for _, r := range s.Chains[0].Rules {
			reasons = append(reasons, r.Unknown)
		}
		if !strings.Contains(strings.Join(reasons, "\n"), reason) {
			t.Errorf("%s: %q does not say %q", rule, reasons, reason)
		}
	}
}

// TestNothingAfterwards: what may or may not match, and does nothing then, is understood.
func TestNothingAfterwards(t *testing.T) {
	for _, rule := range []string{"limit rate 5/second log prefix \"x\"", "meta skuid 0 counter", "tcp dport 80 continue", "ct mark set 1"} {
		if r := parsedText(t, inChain(rule)).Chains[0].Rules[0]; r.Unknown != "" || r.Action != ruleset.Continue {
			t.Errorf("%s: %+v", rule, r)
		}
	}
}

// TestErrors name the line.
func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"table inet t {\n chain c {\n":                                            "line 1: a { without its }",
		"table inet t {\n}\n}\n":                                                  "line 3: a } without its {",
		"table inet t {\n set s {\n  elements = { \"a\n }\n}\n":                   "line 3: a quoted string",
		"\n\nadd rule inet t c accept\n":                                          "line 3: \"add\" stands in scripts",
		"-A PREROUTING -j TPROXY\n":                                               "line 1: \"-A\" is not of a ruleset",
		"table inet t {\n chain c {\n  type filter hook input priority x;\n }\n}": "line 3: chain \"c\": the priority",
		"{\"nftables\": [\n{\"table\": ":                                          "line 2: the JSON breaks off",
		"{\"nftables\": [\n{\"table\": ]}":                                        "line 2, byte",
		"{\"a\": 1}":                                                              "no \"nftables\"",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %q", text, err, want)
		}
	}
}
