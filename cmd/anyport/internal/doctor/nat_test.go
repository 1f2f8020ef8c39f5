package doctor

import (
	"net/netip"
	"strings"
	"testing"

	"anyport/config"
)

// servedHere are the prefixes that the rules of these tests are read for.
var servedHere = []netip.Prefix{prefix("192.0.2.0/24"), prefix("2001:db8:1::/48")}

// takenBy says what of the rules that a text holds take of "udp 192.0.2.7 53" and its like, each as
// "yes" or "no", in one word a question.
func takenBy(t *testing.T, nat []NAT, questions []string) (answers string) {
	t.Helper()
	for _, q := range questions {
		words := strings.Fields(q)
		addr := netip.MustParseAddr(words[1])
		protocol, range_ := config.TCP, ports("-", words[2:])[0]
		if words[0] == "udp" {
			protocol = config.UDP
		}
		answer := " no"
		for _, n := range nat {
			if _, any := n.takes(netip.PrefixFrom(addr, addr.BitLen()), protocol, range_); any {
				answer = " yes"
			}
		}
		answers += answer
	}
	return strings.TrimSpace(answers)
}

// TestNATOfIptables reads rules as container engines and kube-proxy write them.
func TestNATOfIptables(t *testing.T) {
	const engine = `*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER -d 198.51.100.1/32 ! -i docker0 -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.3:53
COMMIT
`
	const cluster = `*nat
-A PREROUTING -m comment --comment "kubernetes service portals -d 1.2.3.4" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp --dport 443 -j KUBE-SVC-A
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -d 127.0.0.0/8 -p tcp -m comment --comment "default/web" -m tcp --dport 30081 -j KUBE-SVC-A
-A KUBE-NODEPORTS -p tcp -m comment --comment "default/web" -m tcp --dport 30080 -j KUBE-SVC-A
-A KUBE-SVC-A -m comment --comment "default/web -> 10.244.0.5:80" -m statistic --mode random --probability 0.5 -j KUBE-SEP-A
-A KUBE-SVC-A -m comment --comment "default/web -> 10.244.0.6:80" -j KUBE-SEP-B
-A KUBE-SEP-A -p tcp -m comment --comment "default/web" -m tcp -j DNAT --to-destination 10.244.0.5:80
-A KUBE-SEP-B -p tcp -m comment --comment "default/web" -m tcp -j DNAT --to-destination 10.244.0.6:80
COMMIT
`
	edit := func(oldNew ...string) string { return strings.NewReplacer(oldNew...).Replace(engine) }
	const jump = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"
	for name, test := range map[string]struct{ text, want string }{
		"a container engine":       {engine, "yes no no no"},
		"a chain nothing leads to": {edit(jump, ""), "no no no no"},
		"accepted before":          {edit(jump, "-A PREROUTING -d 192.0.0.0/16 -j ACCEPT\n"+jump), "no no no no"},
		"accepted for a part":      {edit(jump, "-A PREROUTING -d 192.0.2.128/25 -j ACCEPT\n"+jump), "yes no no no"},
		"accepted from somebody":   {edit(jump, "-A PREROUTING -s 198.51.100.9 -d 192.0.2.0/24 -j ACCEPT\n"+jump), "yes no no no"},
		"accepted over UDP":        {edit(jump, "-A PREROUTING -p udp -d 192.0.2.0/24 -j ACCEPT\n"+jump), "yes no no no"},
		"accepted in its chain":    {edit("-A DOCKER -i docker0", "-A DOCKER -d 192.0.2.0/24 -j RETURN\n-A DOCKER -i docker0"), "no no no no"},
		"another address":          {edit("LOCAL -j DOCKER", "LOCAL ! -d 192.0.2.0/24 -j DOCKER"), "no no no no"},
		"of another table":         {edit("*nat", "*mangle"), "no no no no"},
		"redirected":               {edit("DNAT --to-destination 172.17.0.2:80", "REDIRECT --to-ports 80"), "yes no no no"},
		"many ports":               {edit("-m tcp --dport 8080", "-m multiport --dports 22,8000:9000"), "yes no yes no"},
		"any port":                 {edit("-m tcp --dport 8080 ", ""), "yes no yes yes"},
		"any protocol":             {edit("-p tcp -m tcp --dport 8080 ", ""), "yes yes yes yes"},
		"a cluster":                {cluster, "no no no yes"},
	} {
		nat := iptables("iptables", "ip")(test.text, servedHere).nat
		questions := []string{"tcp 192.0.2.7 8080", "udp 192.0.2.7 53", "tcp 192.0.2.7 8999", "tcp 192.0.2.7 30080"}
		if got := takenBy(t, nat, questions); got != test.want {
			t.Errorf("%s: %s, want %s: %+v", name, got, test.want, nat)
		}
		if got := takenBy(t, nat, []string{"tcp 2001:db8:1::7 8080"}); got != "no" {
			t.Errorf("%s: it takes IPv6", name)
		}
	}
	nat := iptables("ip6tables", "ip6")(engine, servedHere).nat
	if got := takenBy(t, nat, []string{"tcp 192.0.2.7 8080", "tcp 2001:db8:1::7 8080"}); got != "no yes" {
		t.Errorf("ip6tables: %s", got)
	}
}

// TestNATOfNft reads rules as nft prints them, kube-proxy's verdict maps among them.
func TestNATOfNft(t *testing.T) {
	const rules = `table inet x { # handle 3
	map np { # handle 7
		type inet_proto . inet_service : verdict
		elements = { udp . 53 : goto ext,
			     tcp . 30080 : goto ext }
	}

	chain pre { # handle 1
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local tcp dport 8081 counter packets 0 bytes 0 dnat ip to 10.0.0.9:80 comment "web" # handle 2
		fib daddr type local meta l4proto { tcp, udp } th dport { 54, 100-200 } redirect to :5353 # handle 5
		ip daddr 192.0.2.7 accept # handle 6
		fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @np # handle 10
		tcp dport vmap { 99 : jump ext, 1000-1200 : goto ext } # handle 12
	}

	chain ext { # handle 8
		meta l4proto tcp dnat ip to 10.1.1.1:80 # handle 9
	}

	chain out { # handle 10
		type nat hook output priority dstnat; policy accept;
		tcp dport 1 dnat ip to 10.1.1.1:80 # handle 11
	}
}
`
	questions := []string{"tcp 192.0.2.9 8081", "udp 192.0.2.9 150", "tcp 192.0.2.9 30080", "udp 192.0.2.9 53", "tcp 192.0.2.9 99", "tcp 192.0.2.9 1100", "tcp 192.0.2.9 1", "tcp 192.0.2.7 8081", "tcp 192.0.2.7 30080", "tcp 2001:db8:1::7 54", "tcp 2001:db8:1::7 8081"}
	edit := func(oldNew ...string) string { return strings.NewReplacer(oldNew...).Replace(rules) }
	for name, test := range map[string]struct{ text, want string }{
		"all kinds":        {rules, "yes yes yes no yes yes no yes no yes no"},
		"IPv4 alone":       {edit("table inet", "table ip"), "yes yes yes no yes yes no yes no no no"},
		"accepted first":   {edit("\t\tfib daddr type local tcp dport 8081", "\t\tip daddr { 192.0.2.0/24, 198.51.100.0/24 } accept # handle 1\n\t\tfib daddr type local tcp dport 8081"), "no no no no no no no no no yes no"},
		"the filter's":     {edit("type nat hook prerouting", "type filter hook prerouting"), "no no no no no no no no no no no"},
		"from one network": {edit("accept # handle 6", "ip saddr 10.0.0.0/8 accept # handle 6"), "yes yes yes no yes yes no yes yes yes no"},
	} {
		if got := takenBy(t, natOfNft(test.text, servedHere), questions); got != test.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, test.want)
		}
	}
}

func TestNAT(t *testing.T) {
	const rules = "*nat\n-A PREROUTING -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 80\n"
	redirect := func(f *Facts) { f.NAT = iptables("iptables", "ip")(rules, f.prefixes()).nat }
	passes := func(f *Facts) {
		f.Config.Routes = append(f.Config.Routes, &config.Route{Name: "web", Protocols: []config.Protocol{config.TCP}, Prefixes: []netip.Prefix{prefix("192.0.2.0/24")},
			Ports: []config.PortRange{{First: 8080, Last: 8080}}, Action: config.Pass})
	}
	const mend = "iptables -t nat -I PREROUTING -d 192.0.2.0/24 -j ACCEPT\n# or have its owner publish the port on addresses that are not served, not on all"
	run(t, "dnat", []example{
		{"none", func(*Facts) {}, []Status{OK}, "no DNAT rule for a served address (nft)", ""},
		{"one", redirect, []Status{Warning}, "a DNAT rule takes tcp 8080 of 192.0.2.0/24: -A PREROUTING -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 80 (nat PREROUTING, from nat PREROUTING)", mend},
		{"of a port that is the host's", all(redirect, passes), []Status{OK}, "no DNAT rule", ""},
		{"of a family that is not served", all(serve("2001:db8:1::/48"), redirect), []Status{OK}, "no DNAT rule", ""},
		{"no tools", func(f *Facts) { f.Tools = nil }, []Status{Warning}, "not examined", "apt-get install nftables"},
	})
}

// FuzzRules: whatever a packet filter prints is read without a panic, and chains that lead to
// each other end.
func FuzzRules(f *testing.F) {
	f.Add("*nat\n-A PREROUTING ! -d 192.0.2.0/24 -p tcp -m tcp --dport 1:2 -g A\n-A A -j PREROUTING\n-A A -j DNAT --to-destination 10.0.0.1\n")
	f.Add("table ip x {\nmap m {\nelements = { tcp . 1 : goto a }\n}\nchain a {\ntype nat hook prerouting priority dstnat;\nmeta l4proto . th dport vmap @m\nudp dport { 1-2 } dnat to 10.0.0.1\n}\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		iptables("iptables", "ip")(text, servedHere)
		parseNft(text)
		natOfNft(text, servedHere)
	})
}
