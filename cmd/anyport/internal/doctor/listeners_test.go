package doctor

import (
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/steering/host"
	"anyport/steering/table"
)

// sshd listens on all addresses, of which two are served.
var sshd = []host.Shadow{{
	Listener: host.Listener{Protocol: config.TCP, Addr: netip.MustParseAddrPort("0.0.0.0:22"), Process: "sshd", PID: 7},
	Taken:    []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9")},
	By:       table.Decision{Verdict: table.Refuse},
}}

func rules(rules ...Rule) func(*Facts) {
	return func(f *Facts) { f.TProxy = rules }
}

func TestListeners(t *testing.T) {
	run(t, "listeners", []example{
		{"a listener",
			func(f *Facts) { f.Listeners = sshd },
			[]Status{Failure}, `sshd (pid 7) listens on tcp 0.0.0.0:22, which unmatched = "refuse" takes`,
			"# add to " + file + ":\n[route.keep-tcp-22]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.1\", \"192.0.2.9\"]\nports = [22]\naction = \"pass\""},
		{"a listener that gives way",
			func(f *Facts) { f.Listeners, f.Config.Steering.ShadowListeners = sshd, true },
			[]Status{Warning}, "sshd (pid 7) listens on tcp 0.0.0.0:22",
			"# add to " + file + ":\n[route.keep-tcp-22]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.1\", \"192.0.2.9\"]\nports = [22]\naction = \"pass\""},
	})
}

func TestTProxy(t *testing.T) {
	run(t, "tproxy", []example{
		{"TPROXY of any dst",
			rules(Rule{Text: "-A x", Delete: "-D x"}),
			[]Status{Warning}, "would win: -A x", "-D x"},
		{"TPROXY of a part",
			rules(Rule{Delete: "a"}, Rule{Dst: []netip.Prefix{prefix("192.0.2.7/32")}, Delete: "b"}),
			[]Status{Warning, Warning}, "would win", "a"},
		{"TPROXY of another dst",
			rules(Rule{Dst: []netip.Prefix{prefix("203.0.113.0/24")}}),
			[]Status{OK}, "", ""},
		{"TPROXY unknown",
			func(f *Facts) { f.Tools = nil },
			[]Status{Warning}, "not examined", "apt-get install nftables"},
	})
}
