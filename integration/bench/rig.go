package main

import (
	"errors"
	"net/netip"

	"anyport/integration/bench/load"
	"anyport/integration/lab"
)

var (
	served        = netip.MustParsePrefix("192.0.2.0/24")
	originAddress = netip.MustParseAddr("10.0.0.5")
)

const (
	clientAddress = "198.51.100.2" // the first of its addresses
	edgeAddress   = "198.51.100.1" // as the client sees it
	edgeToOrigin  = "10.0.0.1"
)

// clientAddresses are enough for every worker of a proxy to get its share.
func clientAddresses() (all []netip.Addr) {
	for a := netip.MustParseAddr(clientAddress); len(all) < 16; a = a.Next() {
		all = append(all, a)
	}
	return all
}

// onLink are the client's addresses as its device has them.
func onLink() (all []string) {
	for _, a := range clientAddresses() {
		all = append(all, a.String()+"/24")
	}
	return all
}

// rig is client ── edge ── origin.
type rig struct{ client, edge, origin *lab.Host }

func newRig() (r *rig, err error) {
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
		lab.Join(lab.Port{Host: r.client, Device: "edge0", Addresses: onLink()},
			lab.Port{Host: r.edge, Device: "client0", Addresses: []string{edgeAddress + "/24"}}),
		lab.Join(lab.Port{Host: r.edge, Device: "origin0", Addresses: []string{edgeToOrigin + "/24"}},
			lab.Port{Host: r.origin, Device: "edge0", Addresses: []string{originAddress.String() + "/24"}}),
		r.client.Route("0.0.0.0/0", edgeAddress),
		r.origin.Route("0.0.0.0/0", edgeToOrigin),
		r.edge.Route(load.Spoofed.String(), clientAddress),
		r.edge.Sysctl(map[string]string{"net/ipv4/ip_forward": "1"}),
		r.tune(r.client, r.edge, r.origin),
	)
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
