package obstacle

import (
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/host"
	"anyport/steering/netnstest"
	"anyport/steering/program"
)

// TestRead: each way to have the kernel do something to datagrams is found, with the devices that it
// concerns and the words that an operator knows it by, and what cannot concern them is not.
func TestRead(t *testing.T) {
	for _, test := range []struct {
		name  string
		setUp []string
		want  string // on c0; "": nothing
		other string // on o0
	}{
		{"nothing", nil, "", ""},
		{"empty chains", []string{"nft add table inet filter", "nft add chain inet filter input '{ type filter hook input priority 0; policy accept; }'"}, "", ""},
		{"a rule", []string{"nft add table inet filter", "nft add chain inet filter input '{ type filter hook input priority 0; }'", "nft add rule inet filter input udp dport 53 drop"},
			"nft table inet filter, chain input has rules", "nft table inet filter, chain input has rules"},
		{"a rule of another chain", []string{"nft add table ip filter", "nft add chain ip filter other", "nft add rule ip filter other drop"}, "", ""},
		{"a policy", []string{"nft add table ip filter", "nft add chain ip filter out '{ type filter hook output priority 0; policy drop; }'"},
			"nft table ip filter, chain out drops by default", "nft table ip filter, chain out drops by default"},
		{"forwarding", []string{"nft add table ip filter", "nft add chain ip filter f '{ type filter hook forward priority 0; policy drop; }'", "nft add rule ip filter f drop"}, "", ""},
		{"TCP only", []string{"nft add table inet filter", "nft add chain inet filter input '{ type filter hook input priority 0; }'",
			"nft add rule inet filter input tcp dport 22 drop", "nft add rule inet filter input ip protocol tcp counter accept", "nft add rule inet filter input meta l4proto icmp drop"}, "", ""},
		{"TCP only, of IPv4", []string{"nft add table ip filter", "nft add chain ip filter input '{ type filter hook input priority 0; }'", "nft add rule ip filter input ip protocol tcp drop"}, "", ""},
		{"UDP of one device", []string{"nft add table inet filter", "nft add chain inet filter input '{ type filter hook input priority 0; }'", "nft add rule inet filter input iifname c0 udp dport 53 drop"},
			"nft table inet filter, chain input has rules", ""},
		{"devices that begin so", []string{"nft add table inet filter", "nft add chain inet filter input '{ type filter hook input priority 0; }'", `nft add rule inet filter input iifname '"o*"' drop`},
			"", "nft table inet filter, chain input has rules"},
		{"loopback", []string{"nft add table inet filter", "nft add chain inet filter input '{ type filter hook input priority 0; }'", "nft add rule inet filter input iif lo accept", "nft add rule inet filter input iifname lo accept"}, "", ""},
		{"ingress of a device", []string{"nft add table netdev f", "nft add chain netdev f in '{ type filter hook ingress device c0 priority 0; }'", "nft add rule netdev f in drop"},
			"nft table netdev f, chain in has rules", ""},
		{"iptables", []string{"iptables-legacy -A INPUT -p udp -j DROP"}, "iptables-legacy table filter, chain INPUT has rules", "iptables-legacy table filter, chain INPUT has rules"},
		{"ip6tables", []string{"ip6tables-legacy -t raw -A PREROUTING -p udp -j DROP"}, "ip6tables-legacy table raw, chain PREROUTING has rules", "ip6tables-legacy table raw, chain PREROUTING has rules"},
		{"an empty table of iptables", []string{"iptables-legacy -S", "iptables-legacy -A FORWARD -j DROP"}, "", ""},
		{"IPsec", []string{"ip xfrm policy add src 10.0.0.0/8 dst 10.1.0.0/16 dir out tmpl src 1.1.1.1 dst 1.1.1.2 proto esp mode tunnel"},
			"IPsec policy from 10.0.0.0/8 to 10.1.0.0/16 (ip xfrm policy)", "IPsec policy from 10.0.0.0/8 to 10.1.0.0/16 (ip xfrm policy)"},
		{"routing by ports", []string{"ip rule add pref 90 ipproto udp dport 53 lookup 100"}, "the routing rule with pref 90 selects by ports (ip rule)", "the routing rule with pref 90 selects by ports (ip rule)"},
		{"routing by protocol", []string{"ip -6 rule add pref 91 ipproto udp lookup 100"}, "the routing rule with pref 91 selects by protocol (ip -6 rule)", "the routing rule with pref 91 selects by protocol (ip -6 rule)"},
		{"routing by all other protocols", []string{"ip rule add pref 92 not ipproto tcp lookup 100"}, "the routing rule with pref 92 selects by protocol (ip rule)", "the routing rule with pref 92 selects by protocol (ip rule)"},
		{"routing by TOS", []string{"ip rule add pref 93 tos 0x10 lookup 100"}, "the routing rule with pref 93 selects by TOS (ip rule)", "the routing rule with pref 93 selects by TOS (ip rule)"},
		{"routing by user", []string{"ip rule add pref 94 uidrange 5-6 lookup 100"}, "the routing rule with pref 94 selects by user (ip rule)", "the routing rule with pref 94 selects by user (ip rule)"},
		{"routing of TCP, by addresses and marks", []string{"ip rule add pref 95 ipproto tcp dport 25 lookup 100", "ip rule add from 10.0.0.0/8 lookup 100", "ip rule add iif c0 lookup 100", "ip rule add fwmark 7 lookup 100"}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			netnstest.InNamespace(t)
			addDevices(t)
			for _, command := range test.setUp {
				if output, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v %s", command, err, output)
				}
			}
			links, err := netlink.LinkList()
			if err != nil {
				t.Fatal(err)
			}
			all, err := ReadHost(links, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := On("c0", all); got != test.want {
				t.Errorf("c0: %q, want %q", got, test.want)
			}
			if got := On("o0", all); got != test.other {
				t.Errorf("o0: %q, want %q", got, test.other)
			}
		})
	}
}

func addDevices(t *testing.T) {
	t.Helper()
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "c0"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "o0"}); err != nil {
		t.Fatal(err)
	}
}

// TestIngress: programs and filters of others at the ingress of a device concern that device.
func TestIngress(t *testing.T) {
	netnstest.InNamespace(t)
	addDevices(t)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c0, err := netlink.LinkByName("c0")
	if err != nil {
		t.Fatal(err)
	}
	check := func(want string, own ...uint32) {
		t.Helper()
		links, err := netlink.LinkList()
		if err != nil {
			t.Fatal(err)
		}
		all, err := ReadHost(links, own)
		if got := On("c0", all); err != nil || got != want {
			t.Errorf("c0: %q, %v, want %q", got, err, want)
		}
		if got := On("o0", all); got != "" {
			t.Errorf("o0: %q", got)
		}
	}
	filter := func(name string, parent uint32) *netlink.BpfFilter {
		return &netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: c0.Attrs().Index, Parent: parent, Priority: 7, Protocol: unix.ETH_P_ALL},
			Fd:          p.FD(), Name: name, DirectAction: true,
		}
	}
	check("")
	err = netlink.QdiscAdd(&netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: c0.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*netlink.BpfFilter{filter("theirs", netlink.HANDLE_MIN_EGRESS), filter(host.FilterName, netlink.HANDLE_MIN_INGRESS)} {
		if err := netlink.FilterAdd(f); err != nil {
			t.Fatal(err)
		}
		check("")
	}
	if err := netlink.FilterDel(filter("", netlink.HANDLE_MIN_INGRESS)); err != nil {
		t.Fatal(err)
	}
	if err := netlink.FilterAdd(filter("theirs", netlink.HANDLE_MIN_INGRESS)); err != nil {
		t.Fatal(err)
	}
	check("filter of tc at the ingress of c0 (bpf, pref 7)")
	if err := netlink.FilterDel(filter("", netlink.HANDLE_MIN_INGRESS)); err != nil {
		t.Fatal(err)
	}
	check("")
	attached, err := link.AttachTCX(link.TCXOptions{Interface: c0.Attrs().Index, Program: p, Attach: ebpf.AttachTCXIngress})
	if errors.Is(err, ebpf.ErrNotSupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer attached.Close()
	id, err := program.IDOf(p)
	if err != nil {
		t.Fatal(err)
	}
	check(fmt.Sprintf("TCX program %d at the ingress of c0", id))
	check("", uint32(id))
}
