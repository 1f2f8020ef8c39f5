package fastpath

import (
	"context"
	"net"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"anyport/bpf/fastflow"
)

// shell runs a command in the namespace of the test's thread.
func (r *rig) shell(command string) {
	r.t.Helper()
	if output, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v %s", command, err, output)
	}
}

// until polls.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("it is not so: %s", what)
		}
	}
}

// off says what is the matter with a device.
func off(p *Path, device string) string {
	all := p.Devices()
	i := slices.IndexFunc(all, func(d Device) bool { return d.Name == device })
	if i < 0 {
		return "missing"
	}
	return all[i].Off
}

// TestWatch: rules, routes and devices that change end the forwarding, and it comes back when they allow
// it.
func TestWatch(t *testing.T) {
	r := newRig(t)
	r.shell("ip nexthop add id 1 dev o0; ip route add 10.2.0.2 nhid 1; ip route replace 10.2.0.0/24 dev c0")
	p := r.open()
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { p.Watch(ctx) })
	t.Cleanup(func() { cancel(); watching.Wait() })
	f := ends["IPv4"]
	f.Idle = time.Hour
	client, origin := r.socket(r.client, f.Client.String()), r.socket(r.origin, f.Origin.String())
	forwards := func() {
		t.Helper()
		r.until("the flow is admitted", func() bool { return p.Admit(f) == nil })
		r.exchange(client, origin, f, true)
	}
	changes := func(what string, do func()) {
		t.Helper()
		forwards()
		before := p.Generation()
		do()
		r.until(what, func() bool { return p.Generation() != before })
		r.exchange(client, origin, f, false)
	}

	time.Sleep(4 * time.Second)                                     // no change of a device is on its way any more: it would have the routes compared, too
	changes("a next hop that is gone ends the forwarding", func() { // the kernel reports no route that goes with it
		r.shell("ip nexthop del id 1")
	})
	r.shell("ip route replace 10.2.0.0/24 dev o0")
	changes("a rule ends the forwarding", func() {
		r.shell("nft add table inet filter; nft add chain inet filter input '{ type filter hook input priority 0; }'; nft add rule inet filter input udp dport 53 accept")
	})
	r.until("the rule is told", func() bool { return off(p, "c0") == "nft table inet filter, chain input has rules" })
	if err := p.Admit(f); err != fastflow.Device {
		t.Errorf("admitted in spite of a rule: %v", err)
	}
	changed := p.Generation()
	r.shell("nft delete table inet filter")
	r.until("the rule is gone", func() bool { return p.Generation() != changed && off(p, "c0") == "" })

	changes("another route ends the forwarding", func() {
		_, to, _ := net.ParseCIDR("10.2.0.2/32")
		link, err := netlink.LinkByName("c0")
		r.check(err)
		r.check(netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: to}))
	})
	r.shell("ip route delete 10.2.0.2/32")
	changes("a smaller MTU ends the forwarding", func() { r.shell("ip link set o0 mtu 1400") })
	changes("a device that is down ends the forwarding", func() { r.shell("ip link set o0 down") })
	r.until("the device is left out", func() bool { return off(p, "o0") == "missing" })
	r.shell("ip link set o0 up")
	r.until("the device is up", func() bool { return off(p, "o0") == "" })
	forwards()
}

// TestBehindRules: a rule is an obstacle from the beginning, and only where it holds.
func TestBehindRules(t *testing.T) {
	r := newRig(t)
	r.shell("nft add table inet filter; nft add chain inet filter input '{ type filter hook input priority 0; }'; nft add rule inet filter input iifname c0 udp dport 53 accept")
	p := r.open()
	if off(p, "c0") == "" || off(p, "o0") != "" {
		t.Errorf("%+v", p.Devices())
	}
}
