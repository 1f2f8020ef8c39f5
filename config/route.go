package config

import (
	"fmt"
	"net/netip"
	"time"

	"anyport/config/hours"
)

// Route is one [route.NAME] table with the defaults that it inherits. It never changes after
// Load. Conns and flows keep the Route that they began with, also after a reload.
type Route struct {
	Name string
	Line int // of the table's header in the file

	Protocols   []Protocol
	Prefixes    []netip.Prefix // masked; never IPv4-mapped
	Ports       []PortRange    // as written; "all" is 1-65535
	ExceptPorts []PortRange    // see [Route.Excepted]
	Action      Action

	Service  string         // only with Socket: a unit, a cgroup, or one of ServicePID and ServicePIDFile
	Listener netip.AddrPort // of the service; not valid: the only one that it has

	ExceptReflectors bool // "reflectors" is among except_ports

	Origins        []Origin // with Forward at least one; with Socket perhaps; else none
	Balance        Balance
	SlowStart      time.Duration // an origin that comes back has its full share after this long
	PanicThreshold int           // percent: fewer origins up than this, and all are tried
	OnAllDown      AllDown       // what a new conn gets while no origin is up
	OnDown         OnDown        // what happens to conns of an origin that went down
	Health         *Health       // how the origins are checked; nil: they are not
	ProxyProtocol  ProxyProtocol
	ProxyTLVs      []ProxyTLV   // what a v2 header has besides the addresses
	Source         []netip.Addr // local addresses to dial origins from; empty: the kernel's choice

	Transparent bool // origins are dialled from the client's own address and port

	FastPath       FastPath       // of UDP: whether the kernel may forward flows by itself
	EgressPrefixes []netip.Prefix // of UDP: whose addresses datagrams to origins leave from, without a socket a flow; masked

	Allow, Deny []netip.Prefix // client prefixes; both empty: everyone
	Denied      Action         // Refuse or Drop

	Active     hours.Schedule // when the route is in force
	Inactive   Action         // what clients get at other times: Refuse or Drop
	OnInactive OnDown         // what happens to conns and flows that are open at the end
	Knock      Knock          // what opens a door to a client first

	Queue int // TCP: conns that may wait for an origin at its max_conns; 0: none. Timeouts.Queued is how long

	AcceptProxy []netip.Prefix // peers whose PROXY header names the client; empty: the peer is the client

	MaxConns          int // 0 = no limit, here and below
	MaxConnsPerClient int
	MaxFlows          int
	MaxFlowsPerClient int // 0 = a share of what the process may hold, over all routes that say 0

	NewConnsPerSecond          int // conns and flows
	NewConnsPerSecondPerClient int
	DatagramsPerSecond         int // to each dst address

	Bandwidth      Rate // of a TCP conn, in each direction; 0 = no limit, here and below
	RouteBandwidth Rate // of all TCP conns together, in each direction

	AntiAmplification   bool
	AmplificationBudget Rate // of a client's network; 0 = nothing beyond what the client's own bytes allow
	MirrorClosed        bool // what an origin refuses is refused to clients for a while
	Timeouts
}

// Takes reports whether r serves protocol.
func (r *Route) Takes(protocol Protocol) bool {
	for _, p := range r.Protocols {
		if p == protocol {
			return true
		}
	}
	return false
}

// Protocol is an IANA protocol number, as the kernel's sk_lookup context has it.
type Protocol uint8

// The protocols that a route can name.
const (
	TCP Protocol = 6
	UDP Protocol = 17
)

// String is the protocol as files and messages have it.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// Action is what becomes of a conn or flow that a route takes.
type Action uint8

// The actions. The zero value refuses, so that a port without a decision is closed.
const (
	Refuse  Action = iota // RST or ICMP port unreachable
	Drop                  // silence
	Pass                  // to the host's own listeners
	Forward               // to an origin
	Socket                // to the socket of a service of this host
)

// String is the action as files have it.
func (a Action) String() string {
	return [...]string{"refuse", "drop", "pass", "forward", "socket"}[a]
}

// Balance is how a route chooses among its origins.
type Balance string

// The ways to balance.
const (
	RoundRobin Balance = "round_robin"
	LeastConn  Balance = "least_conn"
	Random     Balance = "random"
	SourceHash Balance = "source_hash"
	First      Balance = "first"
)

// AllDown is what a route does with new conns and flows while none of its origins is up.
type AllDown string

// The values of on_all_down.
const (
	TryAll    AllDown = "try"    // as if all were up
	RefuseAll AllDown = "refuse" // in the kernel, over TCP
)

// OnDown is what happens to the conns and flows of an origin that goes down, or of a route whose time
// is over.
type OnDown string

// The values of on_down and on_inactive.
const (
	KeepConns  OnDown = "keep"
	CloseConns OnDown = "close"
)

// ProxyProtocol is the header that names the client to an origin.
type ProxyProtocol string

// The headers. V1 is only for TCP; V2First and SPP are only for UDP.
const (
	ProxyOff     ProxyProtocol = "off"
	ProxyV1      ProxyProtocol = "v1"
	ProxyV2      ProxyProtocol = "v2"
	ProxyV2First ProxyProtocol = "v2-first"
	ProxySPP     ProxyProtocol = "spp"
)

// FastPath says whether the kernel may forward UDP flows by itself.
type FastPath string

// The values of fast_path.
const (
	FastAuto FastPath = "auto" // those that user space need not decide on
	FastOff  FastPath = "off"
)

// PortRange is the ports First to Last, both included.
type PortRange struct{ First, Last uint16 }

// Contains reports whether port lies in r.
func (r PortRange) Contains(port uint16) bool { return r.First <= port && port <= r.Last }

// Width is the number of ports in r.
func (r PortRange) Width() int { return int(r.Last) - int(r.First) + 1 }

// Without returns the pieces of r that are left without the ports of except, sorted.
func (r PortRange) Without(except []PortRange) []PortRange {
	pieces := []PortRange{r}
	for _, e := range except {
		var left []PortRange
		for _, p := range pieces {
			if e.Last < p.First || p.Last < e.First {
				left = append(left, p)
				continue
			}
			if p.First < e.First {
				left = append(left, PortRange{p.First, e.First - 1})
			}
			if e.Last < p.Last {
				left = append(left, PortRange{e.Last + 1, p.Last})
			}
		}
		pieces = left
	}
	return pieces
}

// String is one port, or FIRST-LAST.
func (r PortRange) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Origin is one server that a route forwards to. It is comparable, and a key of maps.
type Origin struct {
	Text   string     // as written in the file; names the origin in logs and metrics
	Host   string     // a DNS name in lower case, or "" where Addr is given
	SRV    bool       // Host is the name of SRV records, which have the ports
	Addr   netip.Addr // unmapped
	Ports  PortRange  // zero: the client's port is kept (same-port)
	Base   uint16     // the dst port that maps to Ports.First, where Ports is a range
	Weight int        // 0 drains
	Backup bool       // used when no other origin can be

	MaxConns int // conns and flows at once; 0 = no limit
}

// Port maps the client's dst port to the origin's.
func (o Origin) Port(dst uint16) uint16 {
	switch o.Ports.Width() {
	case 1:
		if o.Ports.First == 0 {
			return dst
		}
		return o.Ports.First
	}
	return o.Ports.First + (dst - o.Base)
}
