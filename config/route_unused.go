package config

import "slices"

// A key that does nothing for a route would make its file say what is not so: whoever wrote bandwidth
// expects a limit. So a key with another value than its default is refused where it is not used.

// onlyForward are keys of conns and flows that go to an origin. checkAction, checkEgress, checkHealth and
// checkRoute refuse the others.
var onlyForward = []string{
	"balance", "proxy_protocol", "source", "max_conns", "max_conns_per_client", "queue", "max_flows", "max_flows_per_client",
	"new_conns_per_second_per_client", "bandwidth", "route_bandwidth", "anti_amplification", "amplification_budget",
	"mirror_closed", "fast_path", "slow_start", "panic_threshold", "on_all_down", "on_down", "max_age",
}

// onlyAdmitting are keys of the kernel's that hold for conns to a service of this host, too.
var onlyAdmitting = []string{"knock", "knock_window"}

// onlyOf are keys that one protocol uses.
var onlyOf = map[Protocol][]string{
	TCP: {"bandwidth", "route_bandwidth", "max_age"}, // and queue: see checkQueue
	UDP: {"max_flows", "max_flows_per_client", "datagrams_per_second", "anti_amplification", "amplification_budget", "fast_path"},
}

// checkUnused reports the keys that r does not use.
func checkUnused(t *table, r *Route) {
	for _, k := range routeSection.keys {
		if !t.has(k.name) || !t.valid(k.name) || k.print(r) == k.print(&routeSection.defaults) {
			continue
		}
		if !r.Forwards() && slices.Contains(onlyForward, k.name) {
			t.fault(k.name, `is not used with action = %q, where nothing goes to an origin: remove it`, r.Action)
			continue
		}
		if !r.Forwards() && r.Action != Socket && slices.Contains(onlyAdmitting, k.name) {
			t.fault(k.name, `is not used with action = %q, where a client need not knock: remove it`, r.Action)
			continue
		}
		for _, p := range []Protocol{TCP, UDP} {
			if !r.Takes(p) && slices.Contains(onlyOf[p], k.name) {
				t.fault(k.name, "is not used for %s: remove it, or add %q to protocol", r.Protocols[0], p)
			}
		}
	}
	if r.MirrorClosed && !r.Takes(TCP) && t.valid("mirror_closed") {
		checkMirror(t, r)
	}
}

// checkMirror: flows that share a socket, or have none, are not told of ICMP errors for each dst.
func checkMirror(t *table, r *Route) {
	const text = "cannot be combined with %s for udp: remove one of the two"
	switch {
	case r.ProxyProtocol == ProxySPP:
		t.fault("mirror_closed", text, `proxy_protocol = "spp"`)
	case len(r.EgressPrefixes) > 0:
		t.fault("mirror_closed", text, "egress_prefixes")
	}
}
