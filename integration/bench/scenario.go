package main

import (
	"slices"
	"strings"
	"time"

	"anyport/integration/bench/load"
	"anyport/integration/bench/report"
)

// scenario is one thing to measure, and its peers.
type scenario struct {
	Name     string
	Protocol string
	Title    string
	Header   string // that the origin reads: "" or v2
	IPv6     bool   // in place of IPv4
	Peers    []string
	Rival    string // the peer that the others are compared with, besides plain routing
	Metrics  []report.Metric
	Idle     time.Duration // after which a peer ends a flow; 0: the peer's default
	Once     bool          // too long for more than one run
	Job      load.Job
}

func (s scenario) network() network {
	if s.IPv6 {
		return overIPv6
	}
	return overIPv4
}

func (s scenario) section() report.Section {
	return report.Section{Name: s.Name, Title: s.Title, Rival: s.Rival, Peers: s.Peers, Metrics: s.Metrics}
}

// chosen are the scenarios that the command line asks for.
func chosen(o options) []scenario {
	return slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool {
		return o.protocol != "all" && o.protocol != s.Protocol || !listed(o.only, s.Name)
	})
}

func (s scenario) has(peer string) bool { return slices.Contains(s.Peers, peer) }

// listed reports whether a list with commas names something; an empty one names all.
func listed(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}

var scenarios = slices.Concat(tcpScenarios, udpScenarios, inIPv6("connect", "pingpong-64", "echo-1", "echo-1000", "bulk-greeted"))

// inIPv6 are scenarios of these names over again, with the peers that matter most.
func inIPv6(names ...string) (all []scenario) {
	for _, s := range slices.Concat(tcpScenarios, udpScenarios) {
		if !slices.Contains(names, s.Name) {
			continue
		}
		s.Name, s.Title, s.IPv6 = s.Name+"-ipv6", "As "+s.Name+", over IPv6", true
		s.Peers = slices.DeleteFunc(slices.Clone(s.Peers), func(peer string) bool { return !slices.Contains(ipv6Peers, peer) })
		all = append(all, s)
	}
	return all
}

var (
	tcpPeers   = []string{"anyport", "haproxy", "nginx", "go", "dnat", "routed"}
	relayPeers = []string{"anyport", "haproxy", "haproxy-splice", "nginx", "go", "dnat", "routed"}
	udpPeers   = []string{"anyport", "anyport-user", "nginx", "go", "dnat", "routed"}
	ipv6Peers  = []string{"anyport", "anyport-v2", "anyport-spp", "anyport-user", "haproxy", "nginx", "routed"}

	headerPeers = []string{"anyport", "anyport-v2", "anyport-spp", "anyport-user", "anyport-user-spp", "nginx", "go", "dnat", "routed"}
)

var tcpScenarios = []scenario{{
	Name: "connect", Protocol: "tcp", Rival: "haproxy", Metrics: perConn,
	Title: "New conns: 64 at once; connect, 64 bytes there and back, close",
	Peers: []string{"anyport", "anyport-2", "anyport-100k", "haproxy", "haproxy-sklookup", "nginx", "go", "dnat", "routed"},
	Job:   load.Job{Kind: "connect", Conns: 64},
}, {
	Name: "connect-v2", Protocol: "tcp", Rival: "haproxy", Metrics: perConn, Header: "v2",
	Title: "The same with a PROXY v2 header to the origin",
	Peers: []string{"anyport", "haproxy", "haproxy-sklookup"},
	Job:   load.Job{Kind: "connect", Conns: 64},
}, {
	Name: "access-log", Protocol: "tcp", Rival: "anyport", Metrics: perConn,
	Title: "New conns as in the first table, with the access log off and on",
	Peers: []string{"anyport", "anyport-log", "anyport-log-1%"},
	Job:   load.Job{Kind: "connect", Conns: 64},
}, {
	Name: "scan", Protocol: "tcp", Rival: "haproxy-ports", Metrics: perScan,
	Title: "A scan of 1,000 ports that nobody serves, 64 at once: refused, or accepted and closed",
	Peers: []string{"anyport-ports", "anyport", "haproxy-ports"}, // haproxy itself dials a closed port four times, a second apart
	Job:   load.Job{Kind: "scan", Conns: 64},
}, {
	Name: "download-1", Protocol: "tcp", Rival: "haproxy", Metrics: perGB, Peers: relayPeers,
	Title: "Bulk from the origin, 1 conn",
	Job:   load.Job{Kind: "bulk", Conns: 1},
}, {
	Name: "download-16", Protocol: "tcp", Rival: "haproxy", Metrics: perGB, Peers: relayPeers,
	Title: "Bulk from the origin, 16 conns",
	Job:   load.Job{Kind: "bulk", Conns: 16},
}, {
	Name: "upload-16", Protocol: "tcp", Rival: "haproxy", Metrics: perGB, Peers: relayPeers,
	Title: "Bulk to the origin, 16 conns",
	Job:   load.Job{Kind: "bulk", Conns: 16, Upload: true},
}, {
	Name: "pingpong-1", Protocol: "tcp", Rival: "haproxy", Metrics: perRoundTrip, Peers: tcpPeers,
	Title: "Round trips of 64 bytes, 1 conn",
	Job:   load.Job{Kind: "pingpong", Conns: 1},
}, {
	Name: "pingpong-64", Protocol: "tcp", Rival: "haproxy", Metrics: perRoundTrip, Peers: tcpPeers,
	Title: "Round trips of 64 bytes, 64 conns",
	Job:   load.Job{Kind: "pingpong", Conns: 64},
}, {
	Name: "pingpong-8", Protocol: "tcp", Rival: "haproxy", Metrics: perRoundTrip, Peers: []string{"anyport", "haproxy"},
	Title: "Round trips of 64 bytes, 8 conns",
	Job:   load.Job{Kind: "pingpong", Conns: 8},
}, {
	Name: "pingpong-512", Protocol: "tcp", Rival: "haproxy", Metrics: perRoundTrip, Peers: []string{"anyport", "haproxy"},
	Title: "Round trips of 64 bytes, 512 conns",
	Job:   load.Job{Kind: "pingpong", Conns: 512},
}, {
	Name: "pingpong-4k", Protocol: "tcp", Rival: "haproxy", Metrics: perRoundTrip, Peers: []string{"anyport", "haproxy"},
	Title: "Round trips of 4 KiB, 64 conns",
	Job:   load.Job{Kind: "pingpong", Conns: 64, Size: 4 << 10},
}, {
	Name: "idle", Protocol: "tcp", Rival: "haproxy", Metrics: perIdle, Peers: tcpPeers,
	Title: "Memory of an idle conn, of 3,000 that had one round trip",
	Job:   load.Job{Kind: "hold", Count: 3000},
}, {
	Name: "hold", Protocol: "tcp", Rival: "haproxy", Metrics: held, Peers: tcpPeers, Once: true,
	Title: "As many conns as nofile allows, at most 100,000, held, then each asks once more",
	Job:   load.Job{Kind: "hold", Count: 100_000},
}}

var udpScenarios = []scenario{{
	Name: "echo-1", Protocol: "udp", Rival: "nginx", Metrics: perDatagram, Peers: headerPeers,
	Title: "Echo of 64 bytes, 1 flow, 64 on their way",
	Job:   load.Job{Kind: "udp-echo", Flows: 1, Window: 64, Train: 1, Size: 64},
}, {
	Name: "echo-1-gso", Protocol: "udp", Rival: "nginx", Metrics: perDatagram, Peers: udpPeers,
	Title: "The same, client and origin sending trains of 32 (UDP_SEGMENT)",
	Job:   load.Job{Kind: "udp-echo", Flows: 1, Window: 128, Train: 32, Size: 64},
}, {
	Name: "echo-1000", Protocol: "udp", Rival: "nginx", Metrics: perDatagram,
	Peers: []string{"anyport", "anyport-v2", "anyport-spp", "anyport-user", "anyport-user-spp", "anyport-2", "nginx", "go", "dnat", "routed"},
	Title: "Echo of 64 bytes, 1,000 flows, 1 on its way in each",
	Job:   load.Job{Kind: "udp-echo", Flows: 1000, Window: 1, Train: 1, Size: 64},
}, {
	Name: "latency", Protocol: "udp", Rival: "nginx", Metrics: latency, Peers: udpPeers,
	Title: "Echo of 64 bytes at a fixed 10,000/s over 100 flows",
	Job:   load.Job{Kind: "udp-paced", Flows: 100, Rate: 10_000, Size: 64},
}, {
	Name: "flows", Protocol: "udp", Rival: "nginx-1", Metrics: perFlow,
	Peers: []string{"anyport", "anyport-2", "anyport-egress", "anyport-spp", "nginx", "nginx-1", "go", "dnat", "routed"},
	Title: "New flows, one datagram there and back each, and what they leave behind",
	Job:   load.Job{Kind: "udp-flows", Count: 50_000, Size: 64},
}, {
	Name: "flows-steady", Protocol: "udp", Rival: "nginx-1", Metrics: perShortFlow, Idle: 250 * time.Millisecond,
	Peers: []string{"anyport", "anyport-2", "anyport-egress", "nginx", "nginx-1", "routed"},
	Title: "As in front of a DNS server: new flows of one question each to one port. Each ends after 250 ms",
	Job:   load.Job{Kind: "udp-churn", Count: 50_000, Shared: true, OnePort: true, Size: 64}, // they end before each has a socket
}, {
	Name: "idle-flows", Protocol: "udp", Rival: "anyport-user-spp", Metrics: perIdleFlow,
	Peers: []string{"anyport-spp", "anyport-user-spp", "routed"},
	Title: "100,000 flows that have had 12 answers each, and then nothing for 10 s",
	Job:   load.Job{Kind: "udp-idle", Count: 100_000, Shared: true, Greet: 12, Size: 64},
}, {
	Name: "bulk", Protocol: "udp", Rival: "nginx", Metrics: perBulk, Peers: udpPeers,
	Title: "1,200 bytes a datagram, one way, as fast as the client can",
	Job:   load.Job{Kind: "udp-bulk", Train: 1, Size: 1200},
}, {
	Name: "bulk-greeted", Protocol: "udp", Rival: "nginx", Metrics: perBulk, Peers: headerPeers,
	Title: "The same after 16 questions and answers, with which protocols that carry bulk begin",
	Job:   load.Job{Kind: "udp-bulk", Train: 1, Size: 1200, Greet: 16},
}, {
	Name: "bulk-gso", Protocol: "udp", Rival: "nginx", Metrics: perBulk, Peers: udpPeers,
	Title: "The same in trains of 50 (UDP_SEGMENT)",
	Job:   load.Job{Kind: "udp-bulk", Train: 50, Size: 1200},
}, {
	Name: "victim", Protocol: "udp", Rival: "nginx", Metrics: latency,
	Peers: []string{"anyport", "anyport-2", "nginx", "go", "routed"},
	Title: "One flow at 2,000/s while another client floods with 200,000/s",
	Job:   load.Job{Kind: "udp-paced", Flows: 1, Rate: 2000, Flood: 200_000, Size: 64},
}, {
	Name: "spoofed", Protocol: "udp", Rival: "nginx", Metrics: spoofed,
	Peers: []string{"anyport", "nginx", "go", "routed"},
	Title: "100 flows at 1,000/s while 1,000,000 datagrams come from as many addresses",
	Job:   load.Job{Kind: "udp-paced", Flows: 100, Rate: 1000, Spoof: 1_000_000, Size: 64},
}}
