package scans

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"anyport/config"
	"anyport/proxy/client"
)

// Bounds of a table. Together they are some 5 MiB when all of it is in use.
const (
	mostClients  = 1024 // and as many networks
	mostPorts    = 1024 // of all prefixes
	mostPrefixes = 16   // whose ports are all counted, one for each protocol

	agesEvery    = time.Hour
	quietAtMost  = 24 * time.Hour // of an entry
	ipv4Network  = 24             // as client.Network has it
	ipv6Network  = 56
	ipv6OfClient = 64
)

// Packet is a SYN or a datagram to a port that nobody serves.
type Packet struct {
	Protocol config.Protocol
	Client   netip.Addr
	Dst      netip.AddrPort
	Prefix   netip.Prefix // the served one that holds Dst; zero: it is not served any more
}

// Port is a port of a served prefix.
type Port struct {
	Prefix   netip.Prefix
	Protocol config.Protocol
	Port     uint16
}

// prefixKey is what has a grid.
type prefixKey struct {
	Prefix   netip.Prefix
	Protocol config.Protocol
}

type (
	// Scanner is a client, or a network of clients, with the different ports that it has sent to, each with its
	// protocol: see PortOf.
	Scanner = Entry[netip.Prefix, Distinct]
	// Scanned is a port, with the different clients.
	Scanned = Entry[Port, Distinct]
)

// Table sums up packets. All methods may be called from any goroutine.
type Table struct {
	seed maphash.Seed

	mu       sync.Mutex
	since    time.Time
	aged     time.Time // when Age was last due
	packets  uint64
	clients  *Ranking[netip.Prefix, Distinct] // an IPv4 address, or a /64
	networks *Ranking[netip.Prefix, Distinct] // a /24, or a /56
	ports    *Ranking[Port, Distinct]
	grids    *Ranking[prefixKey, grid]
}

// NewTable makes an empty one.
func NewTable(now time.Time) *Table {
	return &Table{
		seed: maphash.MakeSeed(), since: now, aged: now,
		clients:  NewRanking[netip.Prefix, Distinct](mostClients),
		networks: NewRanking[netip.Prefix, Distinct](mostClients),
		ports:    NewRanking[Port, Distinct](mostPorts),
		grids:    NewRanking[prefixKey, grid](2 * mostPrefixes),
	}
}

// Add counts packets that came at now.
func (t *Table) Add(now time.Time, all []Packet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.age(now)
	t.packets += uint64(len(all))
	for i := range all {
		t.add(now, &all[i])
	}
}

func (t *Table) add(now time.Time, p *Packet) {
	one, port := clientOf(p.Client), portValue(p.Protocol, p.Dst.Port())
	t.clients.Add(one, now).Value.Add(port)
	t.networks.Add(networkOf(p.Client), now).Value.Add(port)
	if !p.Prefix.IsValid() {
		return
	}
	t.ports.Add(Port{p.Prefix, p.Protocol, p.Dst.Port()}, now).Value.Add(t.hash(one.Addr()))
	t.grids.Add(prefixKey{p.Prefix, p.Protocol}, now).Value.add(p.Dst.Port())
}

// age makes what is old count less.
func (t *Table) age(now time.Time) {
	for ; now.Sub(t.aged) >= agesEvery; t.aged = t.aged.Add(agesEvery) {
		if now.Sub(t.aged) > quietAtMost+agesEvery { // nothing is left then: no need to do each hour
			t.aged = now.Add(-quietAtMost)
		}
		quiet := t.aged.Add(agesEvery - quietAtMost)
		t.clients.Age(quiet)
		t.networks.Age(quiet)
		t.ports.Age(quiet)
		t.grids.Age(t.aged)
		for _, e := range t.grids.entries {
			e.Value.current, e.Value.previous = nil, e.Value.current
		}
	}
}

// Report is what a table has at one moment.
type Report struct {
	Since             time.Time
	Packets           uint64 // in all
	Clients, Networks []*Scanner
	Ports             []*Scanned
	Displaced         bool // some had to yield their place: there are more than are kept
}

// Report calls use with the first n of each ranking, those with the most packets. What it gets is valid until it
// returns.
func (t *Table) Report(now time.Time, n int, use func(Report)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.age(now)
	use(Report{
		Since: t.since, Packets: t.packets, Clients: t.clients.First(n), Networks: t.networks.First(n), Ports: t.ports.First(n),
		Displaced: t.clients.displaced+t.networks.displaced+t.ports.displaced > 0,
	})
}

// Clients is how many clients are known.
func (t *Table) Clients(now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.age(now)
	return len(t.clients.order)
}

// Probed lists the ports of a prefix that got packets since a time, of the hour that runs and the one before. ok is
// false if too many other prefixes get more.
func (t *Table) Probed(now time.Time, prefix netip.Prefix, protocol config.Protocol) (since time.Time, ports []PortCount, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.age(now)
	since = t.aged.Add(-agesEvery)
	if since.Before(t.since) {
		since = t.since
	}
	e := t.grids.entries[prefixKey{prefix, protocol}]
	if e == nil {
		return since, nil, t.grids.displaced == 0
	}
	if e.Since.After(since) && t.grids.displaced > 0 {
		since = e.Since
	}
	return since, e.Value.counts(), true
}

// hash makes a number of an address.
func (t *Table) hash(addr netip.Addr) uint64 {
	bytes := addr.As16()
	return maphash.Bytes(t.seed, bytes[:])
}

// clientOf is an IPv4 address, or an IPv6 /64.
func clientOf(addr netip.Addr) netip.Prefix { return prefixOf(client.Of(addr), ipv6OfClient, 32) }

// networkOf is an IPv4 /24, or an IPv6 /56.
func networkOf(addr netip.Addr) netip.Prefix {
	return prefixOf(client.Network(addr), ipv6Network, ipv4Network)
}

func prefixOf(first netip.Addr, ipv6, ipv4 int) netip.Prefix {
	if first.Is4() {
		return netip.PrefixFrom(first, ipv4)
	}
	return netip.PrefixFrom(first, ipv6)
}

// portValue is a port and its protocol as a value of Distinct; PortOf is the inverse.
func portValue(protocol config.Protocol, port uint16) uint64 {
	return uint64(protocol)<<16 | uint64(port)
}

// PortOf is the port that a value of a Scanner stands for.
func PortOf(value uint64) (config.Protocol, uint16) {
	return config.Protocol(value >> 16), uint16(value)
}
