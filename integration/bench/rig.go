package main

import (
	"errors"
	"net/netip"

	"anyport/integration/bench/load"
	"anyport/integration/lab"
)

// network is the rig's addresses of one family.
type network struct {
	served       netip.Prefix
	origin       netip.Addr
	client       netip.Addr // the first of its addresses
	edge         netip.Addr // as the client sees it
	edgeToOrigin netip.Addr
	everywhere   string // the prefix of default routes
	subnet       int    // the length of the links' prefixes
}

var (
	overIPv4 = network{
		served: netip.MustParsePrefix("192.0.2.0/24"), origin: netip.MustParseAddr("10.0.0.5"),
		client: netip.MustParseAddr("198.51.100.2"), edge: netip.MustParseAddr("198.51.100.1"),
		edgeToOrigin: netip.MustParseAddr("10.0.0.1"), everywhere: "0.0.0.0/0", subnet: 24,
	}
	overIPv6 = network{
		served: netip.MustParsePrefix("2001:db8:1::/64"), origin: netip.MustParseAddr("fd00::5"),
		client: netip.MustParseAddr("2001:db8:2::2"), edge: netip.MustParseAddr("2001:db8:2::1"),
		edgeToOrigin: netip.MustParseAddr("fd00::1"), everywhere: "::/0", subnet: 64,
	}
)

// clients are addresses enough for every worker of a proxy to get its share.
func (n network) clients() (all []netip.Addr) {
	for a := n.client; len(all) < 16; a = a.Next() {
		all = append(all, a)
	}
	return all
}

// onLink are addresses as a device has them.
func (n network) onLink(addresses ...netip.Addr) (all []string) {
	for _, a := range addresses {
		all = append(all, netip.PrefixFrom(a, n.subnet).String())
	}
	return all
}

// rig is client ── edge ── origin.
type rig struct{ client, edge, origin *lab.Host }

func newRig(n network) (r *rig, err error) {
	r = &rig{}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	for name, host := range map[string]**lab.Host{"client": &r.client, "edge": &r.edge, "origin": &r.origin} {
		if *host, err = lab.NewHost(name); err != nil {
			return r, err
		}
	}
	return r, errors.Join(
		lab.Join(lab.Port{Host: r.client, Device: "edge0", Addresses: n.onLink(n.clients()...)},
			lab.Port{Host: r.edge, Device: "client0", Addresses: n.onLink(n.edge)}),
		lab.Join(lab.Port{Host: r.edge, Device: "origin0", Addresses: n.onLink(n.edgeToOrigin)},
			lab.Port{Host: r.origin, Device: "edge0", Addresses: n.onLink(n.origin)}),
		r.client.Route(n.everywhere, n.edge.String()),
		r.origin.Route(n.everywhere, n.edgeToOrigin.String()),
		r.routeSpoofed(n),
		r.edge.Sysctl(map[string]string{"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}),
		r.tune(r.client, r.edge, r.origin),
	)
}

// routeSpoofed has the answers to forged sources go to the client. They are of IPv4.
func (r *rig) routeSpoofed(n network) error {
	if !n.client.Is4() {
		return nil
	}
	return r.edge.Route(load.Spoofed.String(), n.client.String())
}

// tune lets a client, and a proxy, open more conns a minute than there are ports,
// and lets listeners queue a burst. It resets what the
// namespaces inherit of this machine's tuning to the kernel's defaults, and congestion
// control to the one that every namespace may use: with BBR the benchmarks would measure
// its pacing timers.
func (r *rig) tune(hosts ...*lab.Host) error {
	var errs []error
	for _, host := range hosts {
		errs = append(errs, host.Sysctl(map[string]string{
			"net/ipv4/tcp_tw_reuse":        "1",
			"net/ipv4/ip_local_port_range": "10240 65535", // the ports that are asked for lie below
			"net/core/somaxconn":           "4096",
			"net/ipv4/tcp_max_syn_backlog": "8192",

			"net/ipv4/tcp_congestion_control": "reno",
			"net/ipv4/tcp_rmem":               "4096 131072 6291456",
			"net/ipv4/tcp_wmem":               "4096 16384 4194304",
		}))
	}
	return errors.Join(errs...)
}

func (r *rig) close() {
	for _, host := range []*lab.Host{r.client, r.edge, r.origin} {
		if host != nil {
			host.Close()
		}
	}
}
