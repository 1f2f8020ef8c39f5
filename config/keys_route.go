package config

import (
	"net/netip"
	"slices"
	"time"

	"anyport/config/hours"
)

// routeSection is the keys of a route in the order of reference.toml, which is also the
// order in which they are read: origins need the ports.
var routeSection = newSection("route", slices.Concat(
	matchKeys, forwardKeys, clientKeys, hoursKeys, reflectionKeys,
	knockKeys, routeTimeouts(), healthKeys)...)

// matchKeys say what a route takes.
var matchKeys = []key[Route]{
	valueOrListKey("protocol", ``, oneOf(TCP, UDP), func(r *Route) *[]Protocol { return &r.Protocols },
		`required: "tcp", "udp" or ["tcp", "udp"]`).shown(`"udp"`),
	servedKey("prefixes", ``, func(r *Route) *[]netip.Prefix { return &r.Prefixes },
		`required: what it serves; an address without a length is a single host`).shown(`["192.0.2.0/24", "2001:db8:1::/48"]`),
	valueOrListKey("ports", `"all"`, portRange, func(r *Route) *[]PortRange { return &r.Ports },
		`an integer, a range "a-b", "all" (1-65535), or a list of these`),
	{
		row: row{name: "except_ports", fallback: `[]`, shape: either(exceptedPorts.shape, listOf(exceptedPorts.shape)),
			doc: `in the same form: ports that this route leaves to others; "reflectors" stands for the UDP ports of known reflectors, see below`},
		read:  readExceptPorts,
		print: func(r *Route) string { return printList(r.exceptions(), exceptedPorts.print) },
	},
	valueKey("action", `"forward"`, oneOf(Forward, Socket, Refuse, Drop, Pass), func(r *Route) *Action { return &r.Action },
		`forward (to an origin), socket (of a service of this host), refuse, drop, pass (to the host's own listeners)`),
	valueKey("service", `""`, serviceName, func(r *Route) *string { return &r.Service }, ``).shown(`""`).under(`
With action = "socket": the kernel gives packets to the listening socket of this service, as if it
listened on the prefixes and ports of the route. anyport does not touch the bytes, and the service
sees the client's own address. A systemd unit ("unbound.service"), a cgroup
("/system.slice/unbound.service"), a process ("pid:1234"), or a file with its number
("pidfile:/run/unbound.pid"). While the service has no such socket, the kernel refuses, or with
origins anyport forwards to these. Over udp, ports must be the port of the socket, and the service
must answer from the address that was asked. See docs/how-to/services.md.`),
	valueKey("listener", `""`, listenerAddr, func(r *Route) *netip.AddrPort { return &r.Listener },
		`which of the service's sockets, as bound, such as "127.0.0.1:53"; may be left out if it has only one for the protocol`),
}

// forwardKeys say where a route goes, and how.
var forwardKeys = []key[Route]{
	key[Route]{
		row:   row{name: "origins", fallback: `[]`, shape: listOf(either(originShape, ref("origin")))},
		read:  readOrigins,
		print: func(r *Route) string { return printList(r.Origins, printOrigin) },
	}.shown(`["10.0.0.5", "[2001:db8:2::5]", { address = "10.0.0.6", weight = 3, backup = true, max_conns = 100 }]`).under(`
Required with action = "forward", allowed with "socket" and forbidden with any other. Three forms:
  "10.0.0.5"            keeps the port that the client asked for
  "10.0.0.5:8080"       maps all ports to one
  "10.0.0.5:3000-4000"  maps one to one; ports must be a single range of the same size
An IPv6 address with a port stands in brackets. "2001:db8::5:80" is refused, because 80 could be
meant as the port: write "[2001:db8::5:80]" if it is the address. In a table, weight is 0 to 65535
(default 1): the share of new conns; 0 drains, and if all weights are 0, the route takes no new
conns. A backup (default false) is used when no other origin can be. max_conns (default 0: no limit)
is the most conns and flows of this route that it gets at once: more go to other origins, and if
these are full too, wait in the queue or are refused.
A DNS name may stand for the address. Each of its addresses is an origin of its own, with the weight
that stands here; an IPv4 and an IPv6 address of one name are two ways to one origin, of which the
better one is dialled. "srv:_game._udp.example" stands for SRV records, which have the ports: their
weight (scaled down to 1-256) times the weight here is the weight, and all but those of the lowest
priority are backups. An address that two entries have is one origin, of the entry that writes it as
an address, or else of the first. /etc/hosts and /etc/resolv.conf are followed; names are resolved
before anyport serves, and again when their TTL ends (1s to 5m).`),
	valueKey("balance", `"round_robin"`, oneOf(RoundRobin, LeastConn, Random, SourceHash, First), func(r *Route) *Balance { return &r.Balance },
		`round_robin, least_conn, random, source_hash, first (the first that is up)`),
	valueKey("proxy_protocol", `"off"`, oneOf(ProxyOff, ProxyV1, ProxyV2, ProxyV2First, ProxySPP), func(r *Route) *ProxyProtocol { return &r.ProxyProtocol },
		`the header that names the client to the origin. tcp: off, v1, v2; udp: off, v2 (every datagram), v2-first, spp`),
	servedKey("egress_prefixes", `[]`, func(r *Route) *[]netip.Prefix { return &r.EgressPrefixes }, ``).under(`
udp: prefixes whose addresses and ports datagrams leave from to the origins, without a socket and
a file for each flow. The origins' side must route them to this host, and they must be neither its
own addresses nor served. All of their UDP is taken: replies are steered to the flow that they
answer. At least one for each family of the origins; needs workers = 1; not with source.`),
	listKey("source", `[]`, sourceAddr, func(r *Route) *[]netip.Addr { return &r.Source },
		`addresses of this host to dial origins from, at least one for each family of the origins; none: the kernel chooses`),
	valueKey("transparent", `false`, boolean, func(r *Route) *bool { return &r.Transparent }, ``).under(`
true: origins see the client's own address and port, over tcp and udp, without a header. An origin
must send its answers through this host: have it use this host as the gateway to its clients.
Not on this host, and not with source, egress_prefixes or proxy_protocol = "spp"; needs
manage_routes. See docs/how-to/transparent.md.`),
	listKey("proxy_tlvs", `[]`, proxyTLV, func(r *Route) *[]ProxyTLV { return &r.ProxyTLVs }, ``).under(`
What a v2 header has besides the addresses: "unique-id" (that of the inbound header, or else 16
random bytes), "crc32c" (its checksum), "0xE1=text" (types 0xE0 to 0xEF). From the header that
accept_proxy reads: "authority" (the host name that the client asked for), and what is passed on:
"pass" (all types), one type such as "0x20", a range such as "0xE0-0xEF".`),
	valueKey("fast_path", `"auto"`, oneOf(FastAuto, FastOff), func(r *Route) *FastPath { return &r.FastPath }, ``).under(`
udp: auto: once the origin has answered and the client has shown that it is there, the kernel
forwards the flow by itself, at the speed of routing, if nothing speaks against it. These packets
go round netfilter, so a device whose packets meet rules of nft or iptables, or IPsec, is left out;
anyport status says which. off: all datagrams pass the process. See
docs/explanation/fast-path.md.`),
}

// clientKeys say which clients a route serves, and how many.
var clientKeys = []key[Route]{
	listKey("allow", `[]`, peerPrefix, func(r *Route) *[]netip.Prefix { return &r.Allow },
		`client prefixes; none: everyone`).apart(),
	listKey("deny", `[]`, peerPrefix, func(r *Route) *[]netip.Prefix { return &r.Deny },
		`client prefixes; the longest match of allow and deny wins; on a tie, deny`),
	valueKey("denied", `"refuse"`, oneOf(Refuse, Drop), func(r *Route) *Action { return &r.Denied },
		`what a denied client gets: refuse, drop`),
	valueKey("max_conns", `0`, count, func(r *Route) *int { return &r.MaxConns },
		`conns and flows of this route at once; 0: no limit, here and below`),
	valueKey("max_conns_per_client", `0`, count, func(r *Route) *int { return &r.MaxConnsPerClient },
		`the same, for one client. In all limits a client is an IPv4 address or an IPv6 /64`),
	valueKey("queue", `0`, integer(0, mostQueue), func(r *Route) *int { return &r.Queue },
		`tcp, 0 to 65535: conns that may wait, for up to queue_timeout, while the origins have their max_conns; 0: these are refused`),
	valueKey("max_flows", `0`, count, func(r *Route) *int { return &r.MaxFlows },
		`udp: flows of this route at once; at the limit, new flows replace flows without an answer first, then those of clients that have not shown that they are there`),
	valueKey("max_flows_per_client", `0`, count, func(r *Route) *int { return &r.MaxFlowsPerClient }, ``).under(`
udp: flows of one client at once. 0: one client can hold a sixteenth of the flows that the process
may have, over all routes with 0; flows with a socket of their own and those without are counted
separately. Any other number is the limit of this route only, and replaces that one.`),
	valueKey("new_conns_per_second", `0`, perSecond, func(r *Route) *int { return &r.NewConnsPerSecond },
		`new conns and flows of this route; set max_flows on udp routes too, so that the kernel has room to recognise new flows`).under(`
What exceeds new_conns_per_second is refused; what exceeds datagrams_per_second is dropped
silently. For both, one second's worth may come at once; another second's worth is reserved for
client networks (IPv4 /24, IPv6 /56) that have used little lately, so that a flood from some
networks does not keep out the clients of others. The kernel counts before there is a conn: late
segments of ended conns are counted too.`),
	valueKey("new_conns_per_second_per_client", `0`, perSecond, func(r *Route) *int { return &r.NewConnsPerSecondPerClient },
		`new conns and flows of one client; one second's worth may come at once, and what exceeds it is refused`),
	valueKey("bandwidth", `""`, bandwidth, func(r *Route) *Rate { return &r.Bandwidth },
		`tcp: of each conn, in each direction, such as "10MiB/s"; 1KiB/s to 1TiB/s; "": no limit, here and below`),
	valueKey("route_bandwidth", `""`, bandwidth, func(r *Route) *Rate { return &r.RouteBandwidth },
		`tcp: of all conns of this route together, in each direction; conns that wait for it get equal shares`),
	valueKey("datagrams_per_second", `0`, perSecond, func(r *Route) *int { return &r.DatagramsPerSecond },
		`udp: to each dst address, from all clients together; where the network card joins datagrams (GRO), the kernel may count one twice`),
	listKey("accept_proxy", `[]`, peerPrefix, func(r *Route) *[]netip.Prefix { return &r.AcceptProxy }, ``).under(`
Peers, such as load balancers, that must send a PROXY header, v1 or v2, before each conn and v2
before each datagram. The client that it names is the one that allow, deny, the limits per client
and balance apply to, and that logs and the origin get. Every other peer is refused. A conn without
a whole, valid header within header_timeout is reset, a datagram without one is dropped.`),
}

// hoursKeys say when a route is in force.
var hoursKeys = []key[Route]{
	listKey("active", `[]`, activeHours, func(r *Route) *[]hours.Entry { return (*[]hours.Entry)(&r.Active) }, ``).under(`
When the route is in force: days, hours and a time zone, in the words of systemd's calendars. None:
always. In force while one of the entries is, from minute to minute, 18:00 not included:
  "Mon..Fri 08:00..18:00 Europe/Stockholm"    "Sat,Sun 10:00..14:00,15:00..17:00"
  "Mon 22:00..06:00"  ends on Tuesday          "Sat..Mon UTC"  whole days
  "2026-12-24..26"    "*-12-24 08:00..12:00"   "*-*-01"  the first of each month
Without a zone it is that of the host. The clock on the wall counts: hours that daylight saving
skips do not occur on that day, and hours that it doubles occur twice. The route takes its ports at
all times; see docs/reference/schedules.md.`),
	valueKey("inactive", `"refuse"`, oneOf(Refuse, Drop), func(r *Route) *Action { return &r.Inactive },
		`what a client gets at other times: refuse, drop`),
	valueKey("on_inactive", `"keep"`, oneOf(KeepConns, CloseConns), func(r *Route) *OnDown { return &r.OnInactive },
		`conns and flows that are open when the time is over: keep, close (they are reset)`),
}

// knockKeys keep a route closed to clients that have not knocked.
var knockKeys = []key[Route]{
	listKey("knock", `[]`, knockStep, func(r *Route) *[]KnockStep { return &r.Knock.Steps }, ``).under(`
The route admits only clients that have knocked; the others get what denied says. 3 to 5 ports: the
client sends a SYN or a datagram to each, in this order and within 10s, on any address of the
route's prefixes. Any other port of these prefixes in between starts it again; the same one twice
does not. What the ports answer stays as it is, so a knock shows nothing. ["spa"]: the client sends one
authenticated datagram to the port of [knock] instead (anyport knock), which is never answered.`),
	valueKey("knock_window", `"30s"`, duration(shortestWindow, longestWindow), func(r *Route) *time.Duration { return &r.Knock.Window },
		`1s to 24h: how long the door then is open to new conns of that one address, on this route; conns and flows that have begun live on`),
}

// mostQueue bounds the memory and the files that conns in a queue take.
const mostQueue = 65535

// reflectionKeys bound what the victim of a forged source address can get.
var reflectionKeys = []key[Route]{
	valueKey("anti_amplification", `true`, boolean, func(r *Route) *bool { return &r.AntiAmplification }, ``).under(`
udp: a client shows that it is there by eight datagrams, each of which follows one of the
origin's. Until then its flow gets 3 times the bytes that it sent; what exceeds that is taken from
the budget of its network (IPv4 /24, IPv6 /56), which all routes share. One second's worth may
come at once. What the budget does not cover is dropped and counted as "amplified". The budget is
0B/s to 1TiB/s; 0B/s: nothing beyond 3 times. anti_amplification = false: no limit, for networks
where no source address is forged.`),
	valueKey("amplification_budget", `"1MiB/s"`, rate("0B/s", "1TiB/s"), func(r *Route) *Rate { return &r.AmplificationBudget }, ``),
	valueKey("mirror_closed", `false`, boolean, func(r *Route) *bool { return &r.MirrorClosed }, ``).under(`
Known reflectors are UDP services that answer anybody with more than they were asked, and so are
used to attack others: 7, 11, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 427, 520, 1900,
3283, 3702, 5353, 5683, 11211. "all" takes these ports too; a route with "reflectors" in its
except_ports leaves them out, over UDP only. The commands check and explain print a note where a
range of more than 1024 ports takes them.

true: a dst that every origin refuses by RST, or the only origin by ICMP, is refused to the next
clients for 3s: a scan sees closed ports as the origin has them. The first client to ask sees a
conn that is reset. For udp, not with spp or egress_prefixes.`),
}

// routeTimeouts are timeoutKeys of a route, which inherits their defaults.
func routeTimeouts() []key[Route] {
	keys := within("", timeoutKeys, func(r *Route) *Timeouts { return &r.Timeouts })
	for i := range keys {
		keys[i].doc = ""
	}
	keys[0] = keys[0].apart()
	keys[0].doc = "these eight default to [defaults]"
	return keys
}

// removed are keys that an earlier version had, with what to write instead.
var removed = map[string]string{
	"route.reflectors": `is no longer a key: "all" also takes the UDP ports of known reflectors; remove it, or write except_ports = ["reflectors"] to leave these ports out`,
}

// originSection is the keys of an origin that is written as a table; reference.toml
// describes them at origins.
var originSection = newSection("origin",
	valueKey("address", ``, kind[Origin]{parseOrigin, printOrigin, originShape}, func(o *Origin) *Origin { return o }, ``),
	valueKey("weight", `1`, integer(0, 65535), func(o *Origin) *int { return &o.Weight }, ``),
	valueKey("backup", `false`, boolean, func(o *Origin) *bool { return &o.Backup }, ``),
	valueKey("max_conns", `0`, count, func(o *Origin) *int { return &o.MaxConns }, ``),
)

// servedKey is a list of prefixes that the network routes to this host.
func servedKey(name, fallback string, field func(*Route) *[]netip.Prefix, doc string) key[Route] {
	k := listKey(name, fallback, servedPrefix(false), field, doc)
	withLoopback := listKey(name, fallback, servedPrefix(true), field, doc)
	elsewhere := k.read
	k.read = func(t *table, r *Route) {
		if t.report.allowLoopback {
			withLoopback.read(t, r)
			return
		}
		elsewhere(t, r)
	}
	return k
}
