package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"anyport/config/habits"
)

// Fleet is the [fleet] table: several hosts that serve the same prefixes.
type Fleet struct {
	Source string       // where the routes come from: an etcd:// or https:// URL; "": this file
	Host   string       // this host's name in the fleet; "": the hostname
	Peers  []netip.Addr // the other hosts' addresses on Device; none: conns do not survive a rehash
	Device string       // the network device of the backplane
	Key    string       // a file: what peers prove themselves with

	SourceCA          string // a file of CA certificates; "": those of the system, and etcd without TLS
	SourceCert        string // a file: the certificate that this host shows
	SourceCertKey     string // a file: its key; "": in the file of the certificate
	SourceCredentials string // a file: "USER:PASSWORD" or "Bearer TOKEN"
}

// Announce is the [announce] table: routes for a routing daemon to export.
type Announce struct {
	Table    int // a kernel routing table; 0: none
	Metric   int // of the routes while the host serves; DrainMetric more while it drains
	MinHosts int // of the fleet: this number of hosts goes on announcing, whatever their state
}

// DrainMetric is what a drain adds to the metric of the routes of [announce].
const DrainMetric = 1000

// HasPeers reports whether other hosts are asked about packets of unknown conns.
func (f Fleet) HasPeers() bool { return len(f.Peers) > 0 }

// IsEtcd reports whether the source is an etcd, which hosts report to and tables are pushed to.
func (f Fleet) IsEtcd() bool { return strings.HasPrefix(f.Source, "etcd:") }

// The kinds of the two tables.
var (
	fleetSource = textual(pattern(`|etcd://`+line+`/`+line+`|https://`+line+`/`+line), parseFleetSource)
	peerAddress = textual(pattern(addressForm), parsePeerAddress)
	deviceName  = textual(pattern(`[^/:\s]{0,15}`), parseDeviceName)
	fleetHost   = textual(pattern(`[A-Za-z0-9._-]{0,64}`), parseFleetHost)
	kernelTable = kind[int]{parseKernelTable, integer(0, 1<<31-1).print, between(0, 1<<31-1)}
)

// parseFleetSource reads a URL whose path says which table: "/PREFIX" of keys in etcd, or a document.
func parseFleetSource(value any) (string, error) {
	source, err := text(value)
	if err != nil || source == "" {
		return source, err
	}
	refused := func(found, cure string) (string, error) { return "", newRefusal("Source", value, found, cure) }
	u, err := url.Parse(source)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "etcd" && u.Scheme != "https":
		return refused("is not where a table can come from", `write "etcd://HOST:PORT/PREFIX", "https://HOST/PATH", or "" for the routes of this file`)
	case u.User != nil:
		return refused("has a password in it, which logs would show", "remove it")
	case strings.Trim(u.Path, "/") == "":
		return refused("does not say which table", "add a path, as in "+habits.Quote(strings.TrimRight(source, "/")+"/anyport"))
	}
	return source, nil
}

// parsePeerAddress takes no zone: a link-local address would need the device with it.
func parsePeerAddress(value any) (netip.Addr, error) {
	s, _ := value.(string)
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil || addr.Zone() != "" || addr.Is4In6():
		return netip.Addr{}, newRefusal("Peer", value, "is not an address", `write one such as "10.9.0.2" or "fd00::2"`)
	case addr.IsUnspecified() || addr.IsMulticast() || addr.IsLoopback() || addr.IsLinkLocalUnicast():
		return netip.Addr{}, newRefusal("Peer", value, "is not the address of another host", `write the unicast address that the host has on the backplane`)
	}
	return addr, nil
}

// parseDeviceName checks the form that the kernel asks for (net/core/dev.c, dev_valid_name); whether
// there is such a device is for the start to find out.
func parseDeviceName(value any) (string, error) {
	name, err := text(value)
	if err == nil && (len(name) > 15 || strings.ContainsAny(name, "/: ") || name == "." || name == "..") {
		err = newRefusal("Device", value, "is not the name of a network device", `write one of "ip link", such as "eth1"`)
	}
	return name, err
}

// parseFleetHost takes what can be a part of a key of etcd.
func parseFleetHost(value any) (string, error) {
	name, err := text(value)
	valid := func(c rune) bool {
		return c < 0x80 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c))
	}
	if err == nil && (len(name) > 64 || strings.ContainsFunc(name, func(c rune) bool { return !valid(c) })) {
		err = newRefusal("FleetHost", value, "is not a host's name", `write letters, digits, "." and "-", at most 64, or "" for the hostname`)
	}
	return name, err
}

// parseKernelTable refuses the tables that the kernel itself routes by (rtnetlink.h: RT_TABLE_DEFAULT,
// RT_TABLE_MAIN, RT_TABLE_LOCAL): routes of a whole prefix there would change how this host routes.
func parseKernelTable(value any) (int, error) {
	n, err := integer(0, 1<<31-1).parse(value)
	if err == nil && n >= 253 && n <= 255 {
		err = newRefusal("KernelTable", value, "is a table that this host routes by", "write another number, such as 179, or 0 for none")
	}
	return n, err
}

// checkFleet checks what the keys of [fleet] and [announce] need of each other.
func checkFleet(rep *report, cfg *Config) {
	f := cfg.Fleet
	switch {
	case f.HasPeers() && f.Device == "":
		rep.add("", "fleet.peers", `needs the device of the backplane: write device = "eth1" in [fleet]`)
	case f.HasPeers() && f.Key == "":
		rep.add("", "fleet.peers", `needs what peers prove themselves with: write key = "/etc/anyport/fleet.key" in [fleet]`)
	}
	for _, peer := range f.Peers {
		if peer.Is4() != f.Peers[0].Is4() {
			rep.add("", "fleet.peers", "%s and %s are of two families: write the addresses that all hosts have on the backplane, IPv4 or IPv6", f.Peers[0], peer)
			break
		}
	}
	switch {
	case f.SourceCertKey != "" && f.SourceCert == "":
		rep.add("", "fleet.source_cert_key", "needs its certificate: write source_cert = in [fleet]")
	case f.SourceCert != "" && f.SourceCA == "" && f.IsEtcd():
		rep.add("", "fleet.source_cert", "is for TLS, which etcd:// only speaks with source_ca: write source_ca = in [fleet]")
	}
	if f.Source == "" {
		for key, value := range map[string]string{"source_ca": f.SourceCA, "source_cert": f.SourceCert, "source_credentials": f.SourceCredentials} {
			if value != "" {
				rep.add("", "fleet."+key, "is of the source, and there is none: write source = in [fleet], or remove it")
			}
		}
	}
	if f.Source != "" && len(cfg.Routes) > 0 && !rep.ofSource {
		rep.note("", "fleet.source", "the routes of this file are not served by anyport run, which takes those of the source: anyport push sends these there")
	}
	for _, r := range cfg.Routes {
		for _, peer := range f.Peers {
			if slices.ContainsFunc(r.Prefixes, func(p netip.Prefix) bool { return p.Contains(peer) }) {
				rep.add(r.Name, "prefixes", "%s is a peer of [fleet], which this route would take: leave it out", peer)
			}
		}
	}
}
