package iptables

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/ruleset"
)

// ruleOf parses one rule of mangle.
func ruleOf(t *testing.T, text string, sets *Sets) *ruleset.Rule {
	t.Helper()
	s, err := Parse("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING "+text+"\nCOMMIT\n", sets)
	if err != nil {
		t.Fatal(err)
	}
	return s.Chains[0].Rules[0]
}

// TestMatches: each condition, on a packet that it holds for and on one that it does not hold for.
func TestMatches(t *testing.T) {
	const usual = "tcp 198.51.100.7:40000 192.0.2.7:80 eth0"
	for rule, packets := range map[string][2]string{
		"-p tcp":                                {usual, "udp 198.51.100.7:40000 192.0.2.7:80 eth0"},
		"-p 17":                                 {"udp 198.51.100.7:40000 192.0.2.7:80 eth0", usual},
		"! -p udp":                              {usual, "udp 198.51.100.7:40000 192.0.2.7:80 eth0"},
		"-p ! udp":                              {usual, "udp 198.51.100.7:40000 192.0.2.7:80 eth0"},
		"-d 192.0.2.0/24":                       {usual, "tcp 198.51.100.7:1 192.0.3.0:80 eth0"},
		"-d 192.0.2.0/255.255.255.0":            {usual, "tcp 198.51.100.7:1 192.0.3.0:80 eth0"},
		"! -d 192.0.3.0/24":                     {usual, "tcp 198.51.100.7:1 192.0.3.0:80 eth0"},
		"-d ! 192.0.3.0/24":                     {usual, "tcp 198.51.100.7:1 192.0.3.0:80 eth0"},
		"--source 198.51.100.7":                 {usual, "tcp 198.51.100.8:1 192.0.2.7:80 eth0"},
		"-i eth0":                               {usual, "tcp 198.51.100.7:1 192.0.2.7:80 eth00"},
		"-i eth+":                               {usual, "tcp 198.51.100.7:1 192.0.2.7:80 lo"},
		"! -i lo":                               {usual, "tcp 198.51.100.7:1 192.0.2.7:80 lo"},
		"-p tcp -m tcp --dport 80":              {usual, "tcp 198.51.100.7:1 192.0.2.7:81 eth0"},
		"-p tcp --dport 1:80":                   {usual, "tcp 198.51.100.7:1 192.0.2.7:81 eth0"},
		"-p tcp --dport :80":                    {usual, "tcp 198.51.100.7:1 192.0.2.7:81 eth0"},
		"-p tcp --dport 80:":                    {usual, "tcp 198.51.100.7:1 192.0.2.7:79 eth0"},
		"-p tcp ! --dport 79":                   {usual, "tcp 198.51.100.7:1 192.0.2.7:79 eth0"},
		"-p tcp -m multiport --dports 22,70:80": {usual, "tcp 198.51.100.7:1 192.0.2.7:23 eth0"},
		"-p tcp -m multiport ! --dports 22,443": {usual, "tcp 198.51.100.7:1 192.0.2.7:443 eth0"},
		"-p tcp -m multiport --ports 40000":     {usual, "tcp 198.51.100.7:1 192.0.2.7:80 eth0"},
		"-p tcp -m tcp --sport 40000":           {usual, "tcp 198.51.100.7:1 192.0.2.7:80 eth0"},
		"-m iprange --dst-range 192.0.2.5-192.0.2.9":      {usual, "tcp 198.51.100.7:1 192.0.2.10:80 eth0"},
		"-m iprange ! --src-range 10.0.0.1-10.0.0.9":      {usual, "tcp 10.0.0.9:1 192.0.2.10:80 eth0"},
		"-m mark --mark 0x0/0xff":                         {usual, ""},
		"-m mark ! --mark 0x1":                            {usual, ""},
		"-m mark --mark 0x1":                              {"", usual},
		"-m conntrack --ctstate NEW,RELATED":              {usual, ""},
		"-m state --state ESTABLISHED":                    {"", usual},
		"-m conntrack ! --ctstate ESTABLISHED":            {usual, ""},
		"-m socket --transparent --nowildcard":            {"", usual},
		"-m addrtype --dst-type MULTICAST":                {"tcp 198.51.100.7:1 224.0.0.1:80 eth0", usual},
		"-p tcp -m tcp --syn":                             {usual, ""},
		"-p tcp -m tcp ! --syn":                           {"", usual},
		"-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN":   {usual, ""},
		"-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN": {"", usual},
		"-p tcp -m tcp --tcp-flags RST RST":               {"", usual},
		"-m comment --comment \"-d 10.0.0.1 \\\" x\"":     {usual, ""},
	} {
		r := ruleOf(t, rule+" -j ACCEPT", nil)
		if r.Unknown != "" {
			t.Errorf("%s: %s", rule, r.Unknown)
		}
		for i, packet := range packets {
			if packet != "" && holds(t, r, packet) != (i == 0) {
				t.Errorf("%s: holds for %s: %v", rule, packet, i != 0)
			}
		}
	}
}

// holds asks a rule about "PROTOCOL SRC DST INTERFACE".
func holds(t *testing.T, r *ruleset.Rule, text string) bool {
	t.Helper()
	var protocol, src, dst string
	p := ruleset.Packet{Protocol: 6}
	if _, err := fmt.Sscan(text, &protocol, &src, &dst, &p.Interface); err != nil {
		t.Fatal(err)
	}
	if protocol == "udp" {
		p.Protocol = 17
	}
	p.Source, p.Destination = netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	for _, c := range r.Conditions {
		if !c.Holds(p) {
			return false
		}
	}
	return true
}

// TestTargets: where a packet goes, and the mark that it gets.
func TestTargets(t *testing.T) {
	ip := netip.MustParseAddr
	for text, want := range map[string]ruleset.Rule{
		"-j TPROXY --on-port 1 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x3":  {Action: ruleset.Intercept, To: ruleset.Target{Address: ip("127.0.0.1"), Ports: ruleset.Range{First: 1, Last: 1}}, SetMark: &ruleset.Mark{Value: 1, Mask: 3}},
		"--jump TPROXY --tproxy-mark 16 --on-ip 0.0.0.0 --on-port 65535": {Action: ruleset.Intercept, To: ruleset.Target{Ports: ruleset.Range{First: 65535, Last: 65535}}, SetMark: &ruleset.Mark{Value: 16, Mask: 1<<32 - 1}},
		"-j REDIRECT --to-ports 8080":                                    {Action: ruleset.Intercept, To: ruleset.Target{Mechanism: ruleset.Redirect, Ports: ruleset.Range{First: 8080, Last: 8080}}},
		"-j REDIRECT":                                                    {Action: ruleset.Intercept, To: ruleset.Target{Mechanism: ruleset.Redirect}},
		"-j DNAT --to-destination 10.0.0.5":                              {Action: ruleset.Intercept, To: ruleset.Target{Mechanism: ruleset.DNAT, Address: ip("10.0.0.5")}},
		"-j DNAT --to-destination 10.0.0.5:80-90":                        {Action: ruleset.Intercept, To: ruleset.Target{Mechanism: ruleset.DNAT, Address: ip("10.0.0.5"), Ports: ruleset.Range{First: 80, Last: 90}}},
		"-j DNAT --to-destination 10.0.0.5-10.0.0.7:1":                   {Action: ruleset.Intercept, To: ruleset.Target{Mechanism: ruleset.DNAT, Address: ip("10.0.0.5"), Last: ip("10.0.0.7"), Ports: ruleset.Range{First: 1, Last: 1}}},
		"-j DNAT --to-destination :80":                                   {Action: ruleset.Intercept, To: ruleset.Target{Mechanism: ruleset.DNAT, Ports: ruleset.Range{First: 80, Last: 80}}},
		"-j DNAT --to-destination [2001:db8::5]:80":                      {Action: ruleset.Intercept, To: ruleset.Target{Mechanism: ruleset.DNAT, Address: ip("2001:db8::5"), Ports: ruleset.Range{First: 80, Last: 80}}},
		"-j MARK --set-mark 0x3/0x1":                                     {SetMark: &ruleset.Mark{Value: 3, Mask: 3}},
		"-j MARK --set-xmark 0x1/0xffffffff":                             {SetMark: &ruleset.Mark{Value: 1, Mask: 1<<32 - 1}},
		"-j MARK --or-mark 0x4":                                          {SetMark: &ruleset.Mark{Value: 4, Mask: 4}},
		"-j MARK --and-mark 0xf":                                         {SetMark: &ruleset.Mark{Mask: 1<<32 - 16}},
		"-j LOG --log-prefix \"a b\" --log-level 4":                      {},
		"-j REJECT --reject-with icmp-port-unreachable":                  {Action: ruleset.Reject},
		"-j mine": {Action: ruleset.Jump, Chain: "mine"},
		"-g mine": {Action: ruleset.Goto, Chain: "mine"},
	} {
		r := ruleOf(t, text, nil)
		if r.Unknown != "" || r.Action != want.Action || r.Chain != want.Chain || r.To != want.To || (r.SetMark == nil) != (want.SetMark == nil) || r.SetMark != nil && *r.SetMark != *want.SetMark {
			t.Errorf("%s: %q, action %d, chain %q, to %+v, mark %v", text, r.Unknown, r.Action, r.Chain, r.To, r.SetMark)
		}
	}
}

// TestUnknown: what is not understood is said, and the rule keeps what was.
func TestUnknown(t *testing.T) {
	for text, want := range map[string]string{
		"-m limit --limit 3/sec -j TPROXY --on-port 1":        "-m limit: a rate has no equal in the match of a route: see new_conns_per_second",
		"-m owner --uid-owner 0 -j TPROXY --on-port 1":        "-m owner: only packets of this host itself have an owner, and anyport takes none of these",
		"-j TPROXY --on-port 0":                               "--on-port 0: each port has its own daemon, so there is not one that anyport could replace",
		"-j TPROXY --on-port":                                 "--on-port: not understood",
		"-j TPROXY":                                           "-j TPROXY without --on-port: not understood",
		"-d example.com -j TPROXY --on-port 1":                "-d example.com: not understood",
		"-d 192.0.2.1/255.0.255.0 -j TPROXY --on-port 1":      "-d 192.0.2.1/255.0.255.0: not understood",
		"-d 2001:db8::1 -d 192.0.2.1 -j ACCEPT":               "-d 192.0.2.1: not understood",
		"-m new --brand-new 1 2 ! --other -j ACCEPT":          "-m new: not understood",
		"-m set --match-set served dst -j TPROXY --on-port 1": "-m set: the elements of the set served are not in the rules: write them to a file with `ipset save`, and name that with --ipset",
		"-m mark --mark 0x1/x -j ACCEPT":                      "--mark 0x1/x: not understood",
		"-m socket --transparent --strange -j ACCEPT":         "--strange: not understood",
		"nonsense -j ACCEPT":                                  "nonsense: not understood",
		"-j NETMAP --to 10.0.0.0/24":                          "-j NETMAP: it maps a network onto another, address by address: write a route for each with its origin",
		"-p tcp -j DNAT --to-destination 10.0.0.1:80-90/80":   "--to-destination: not understood",
		"-p tcp -m conntrack --ctorigdst 10.0.0.1 -j ACCEPT":  "--ctorigdst 10.0.0.1: not understood",
	} {
		if r := ruleOf(t, text, nil); r.Unknown != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, r.Unknown, want)
		}
	}
}

// TestSets: the elements of sets, on packets.
func TestSets(t *testing.T) {
	sets, err := ParseSets(strings.Join([]string{
		"create nets hash:net family inet hashsize 1024 maxelem 65536", "add nets 192.0.2.0/24 timeout 0", "add nets 192.0.2.128/25 nomatch",
		"create ports bitmap:port range 0-65535", "add ports 80", "add ports 443",
		"create pairs hash:ip,port family inet", "add pairs 192.0.2.7,tcp:80", "add pairs 192.0.2.8,udp:53", "add pairs 192.0.2.9,8000",
		"create triple hash:ip,port,net family inet", "add triple 192.0.2.7,tcp:80,198.51.100.0/24",
		"create list list:set size 8", "add list pairs", "add list triple",
		"create brief hash:ip family inet timeout 300", "create permanent hash:ip timeout 0", "add permanent 192.0.2.7 timeout 0",
		"create some hash:ip timeout 0", "add some 192.0.2.7 timeout 0", "add some 192.0.2.8 timeout 117",
		"create macs hash:mac", "add macs 02:00:00:00:00:01",
	}, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		match, packet string
		want          bool
	}{
		{"nets dst", "tcp 198.51.100.7:1 192.0.2.7:80 eth0", true},
		{"nets dst", "tcp 198.51.100.7:1 192.0.2.200:80 eth0", false},
		{"nets src", "tcp 198.51.100.7:1 192.0.2.7:80 eth0", false},
		{"ports dst", "tcp 198.51.100.7:1 192.0.2.7:443 eth0", true},
		{"ports dst", "tcp 198.51.100.7:1 192.0.2.7:444 eth0", false},
		{"pairs dst,dst", "tcp 198.51.100.7:1 192.0.2.7:80 eth0", true},
		{"pairs dst,dst", "udp 198.51.100.7:1 192.0.2.7:80 eth0", false},
		{"pairs dst,dst", "udp 198.51.100.7:1 192.0.2.8:53 eth0", true},
		{"pairs dst,dst", "tcp 198.51.100.7:1 192.0.2.9:8000 eth0", true},
		{"pairs dst,src", "tcp 198.51.100.7:8000 192.0.2.9:1 eth0", true},
		{"triple dst,dst,src", "tcp 198.51.100.7:1 192.0.2.7:80 eth0", true},
		{"triple dst,dst,src", "tcp 198.51.101.7:1 192.0.2.7:80 eth0", false},
		{"permanent dst", "tcp 198.51.100.7:1 192.0.2.7:80 eth0", true},
		{"list dst,dst,src", "tcp 198.51.101.7:1 192.0.2.7:80 eth0", true},
	} {
		r := ruleOf(t, "-m set --match-set "+test.match+" -j ACCEPT", sets)
		if r.Unknown != "" || holds(t, r, test.packet) != test.want {
			t.Errorf("%s, %s: %q, want %v", test.match, test.packet, r.Unknown, test.want)
		}
	}
	for match, want := range map[string]string{
		"macs src":    "-m set macs: sets of the type hash:mac have no equal",
		"brief dst":   "-m set brief: its elements expire, so a route of today's elements would soon be wrong",
		"some dst":    "-m set some: its elements expire, so a route of today's elements would soon be wrong",
		"pairs dst":   "-m set pairs: its 2 dimensions need as many of src and dst",
		"missing dst": "-m set: the elements of the set missing are not in the rules: write them to a file with `ipset save`, and name that with --ipset",
	} {
		if r := ruleOf(t, "-m set --match-set "+match+" -j ACCEPT", sets); r.Unknown != want {
			t.Errorf("%s: %s", match, r.Unknown)
		}
	}
	if r := ruleOf(t, "-m set ! --match-set nets dst -j ACCEPT", sets); !strings.Contains(r.Unknown, "nomatch") {
		t.Errorf("a negated set with nomatch: %q", r.Unknown)
	}
}

// TestFamilies: from the comment, or from an address.
func TestFamilies(t *testing.T) {
	s, err := Parse("*mangle\n:PREROUTING ACCEPT\n-A PREROUTING -p tcp -j ACCEPT\n-A PREROUTING -d 2001:db8::/32 -j ACCEPT\nCOMMIT\n# Generated by iptables-legacy-save v1.8.9\n*raw\n:PREROUTING DROP\nCOMMIT\n# Generated by ip6tables-nft-save v1.8.9\n*nat\n:PREROUTING ACCEPT\nCOMMIT\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, c := range s.Chains {
		got += fmt.Sprintf("%s %s %d %d; ", c.Family, c.Table, c.Priority, c.Policy)
	}
	if want := fmt.Sprintf("ip6 mangle -150 %[1]d; ip raw -300 %[2]d; ip6 nat -100 %[1]d; ", ruleset.Accept, ruleset.Drop); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNotRules: what is not the output of iptables-save is refused as a whole.
func TestNotRules(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "no table: this is not the output of iptables-save",
		"table ip filter {\n":      `line 1: "table ip filter {" stands before a line such as *mangle: this is not the output of iptables-save`,
		"*mangle\niptables -A x\n": `line 2: "iptables -A x" is a command: run the script, and import what iptables-save and ip6tables-save print then`,
		"#!/bin/sh\n sudo /sbin/ip6tables-legacy -t mangle -F": `line 2: "sudo /sbin/ip6tables-legacy -t mangle -F" is a command: run the script, and import what iptables-save and ip6tables-save print then`,
		"iptables-save > x\n":    `line 1: "iptables-save > x" stands before a line such as *mangle: this is not the output of iptables-save`,
		"*mangle\n:PREROUTING\n": "line 2: a chain has a name and a policy, such as :PREROUTING ACCEPT [0:0]",
		"*mangle\n-A \nCOMMIT\n": `line 2: "-A" is not a line of iptables-save`,
	} {
		if _, err := Parse(text, nil); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzParse: no input makes the parsers panic, and every rule keeps its text.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("../importer/testdata/*.rules")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), "create served hash:net,port family inet6\nadd served 2001:db8::/32,tcp:80 nomatch\n")
	}
	f.Fuzz(func(t *testing.T, text, saved string) {
		sets, err := ParseSets(saved)
		if err != nil {
			sets = nil
		}
		s, err := Parse(text, sets)
		if err != nil {
			return
		}
		w := ruleset.NewWalker(s)
		for _, c := range s.Chains {
			for _, r := range c.Rules {
				if !strings.Contains(text, r.Text) || r.Text == "" {
					t.Fatalf("the rule %q is not in the input", r.Text)
				}
			}
		}
		w.Walk(ruleset.Packet{Protocol: 6, Source: netip.MustParseAddrPort("198.51.100.7:1"), Destination: netip.MustParseAddrPort("192.0.2.7:80"), Interface: "eth0"})
		w.Walk(ruleset.Packet{Protocol: 17, Source: netip.MustParseAddrPort("[2001:db8::7]:1"), Destination: netip.MustParseAddrPort("[2001:db8::1]:80")})
	})
}
