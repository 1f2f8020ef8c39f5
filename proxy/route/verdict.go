package route

// Verdict is what became of a conn, a flow or a datagram in the proxy. Its word is in the access log,
// in the label of the metric and in tests.
//
// It is one of three types that say what happens to traffic, each at its own place:
//
//   - config.Action is what the file says of a route: forward, refuse, drop or pass.
//   - steering's verdict is what the kernel does with the first packet of a conn or flow: steer it to
//     the proxy's socket, refuse, drop, pass, or deny or limit its client. Only what it steers gets
//     here.
//   - Verdict is what the proxy then did, packet by packet for UDP, and how the conn or flow ended. So
//     no verdict here means "dropped by action": those packets never arrive.
//
// Three conditions are judged twice, first in the kernel and again here: allow and deny (Denied), a
// drained route (Draining) and the hours of a route (Inactive). The second judgement catches what was in the accept queue or the receive
// buffer when a reload or a drain came, and flows, where the kernel judges each datagram.
type Verdict uint8

// The verdicts. With the zero value nothing is decided yet.
const (
	Undecided Verdict = iota

	// Admitted conns and flows are live; forwarded datagrams were sent on.
	Admitted
	Forwarded

	// Conns and flows that were refused: nothing was sent to an origin.
	NoRoute          // no route forwards this dst (any more)
	Denied           // by allow and deny: see config.Clients
	OverMaxConns     // the route holds max_conns already
	OverMaxPerClient // this client holds max_conns_per_client already
	OverClientRate   // this client has begun new_conns_per_second_per_client already
	OverMaxFlows     // the route, or the process, holds max_flows already
	OverClientFlows  // this client holds max_flows_per_client already
	OverOriginConns  // the origins that are left hold their max_conns already
	QueueFull        // the same, and as many conns wait as the route's queue has room for
	QueueTimedOut    // it has waited for queue_timeout
	QueueAbandoned   // its client has left while it waited
	NoOrigin         // the route has no origin that takes new conns
	NoneForClient    // transparent: no origin of the route is of the client's family, or it is the client itself
	ClientPortInUse  // transparent: another conn or flow to that origin has the client's address and port
	ConnectFailed    // every origin tried refused or was unreachable
	ConnectTimedOut  // the last origin tried did not answer in time
	HeaderFailed     // the PROXY header can't name this client and dst
	OutOfFiles       // no file descriptor is left
	OutOfPorts       // no local port is left to dial an origin from
	Draining         // the process, or this route, takes no new conns
	Inactive         // the route is not in force at this time: see active
	Responder        // from the port of a server that answers any datagram: with such an origin it would never stop
	Looped           // sent by this proxy itself, and steered back to it
	UntrustedPeer    // it is not among accept_proxy, so it may not name a client
	HeaderTimedOut   // a peer of accept_proxy sent no whole PROXY header within header_timeout

	// Conns and flows that have ended.
	Closed            // both sides closed in order
	ResetByClient     // RST, passed on to the origin
	ResetByOrigin     // RST, passed on to the client
	ClientTimedOut    // it answered neither probes nor retransmissions
	OriginTimedOut    // likewise
	IdleTimedOut      // no byte in either direction; the usual end of a flow
	HalfCloseTimedOut // one side had closed, and the other was silent for too long
	DrainTimedOut     // cut when drain_timeout ended
	RelayFailed       // an error of the proxy's own, or of the kernel
	Evicted           // it was ended for a new one when a bound was reached
	OriginDown        // its origin went down, and the route has on_down = "close"
	MaxAge            // it reached max_age
	HoursOver         // the time of its route was over, and the route has on_inactive = "close"
	Killed            // an operator ended it

	// Datagrams that were not sent on.
	Overflowed  // the receive buffer of the socket was full: the listener's, or one to an origin
	Backlogged  // too many datagrams waited for a flow of their own
	Truncated   // longer than a datagram can be
	PortZero    // from port 0 or to port 0
	BadHeader   // an SPP reply whose header is missing or names another flow; a conn or datagram without the PROXY header that accept_proxy requires
	TooLarge    // with the header it would be longer than a datagram can be
	Amplified   // an answer over amplification_budget, to a client that has not shown that it is there
	SendFailed  // the kernel refused to send it
	OriginError // the origin, or a router, sent an ICMP error for it
	FlowEnded   // an answer to a flow that had ended, on a socket that waited for the next one

	// Verdicts is the number of verdicts.
	Verdicts
)

var words = [Verdicts]string{
	Undecided: "undecided",
	Admitted:  "admitted", Forwarded: "forwarded",
	NoRoute: "no_route", Denied: "denied", OverMaxConns: "max_conns", OverMaxPerClient: "max_conns_per_client",
	OverClientRate: "new_conns_per_second_per_client",
	OverMaxFlows:   "max_flows", OverClientFlows: "max_flows_per_client", OverOriginConns: "origin_max_conns",
	QueueFull: "queue_full", QueueTimedOut: "queue_timeout", QueueAbandoned: "queue_abandoned",
	NoOrigin: "no_origin", NoneForClient: "no_origin_for_client", ClientPortInUse: "client_port_in_use", ConnectFailed: "connect_failed", ConnectTimedOut: "connect_timeout",
	HeaderFailed: "header_failed", OutOfFiles: "out_of_files", OutOfPorts: "out_of_ports", Draining: "draining", Inactive: "inactive",
	Responder: "responder", Looped: "looped", UntrustedPeer: "untrusted_peer", HeaderTimedOut: "header_timeout",
	Closed: "closed", ResetByClient: "client_reset", ResetByOrigin: "origin_reset", ClientTimedOut: "client_timeout", OriginTimedOut: "origin_timeout", IdleTimedOut: "idle_timeout",
	HalfCloseTimedOut: "half_close_timeout", DrainTimedOut: "drain_timeout", RelayFailed: "relay_failed", Evicted: "evicted",
	OriginDown: "origin_down", MaxAge: "max_age", HoursOver: "hours_over", Killed: "killed",
	Overflowed: "overflowed", Backlogged: "backlogged", Truncated: "truncated", PortZero: "port_zero", BadHeader: "bad_header", TooLarge: "too_large", Amplified: "amplified",
	SendFailed: "send_failed", OriginError: "origin_error", FlowEnded: "flow_ended",
}

func (v Verdict) String() string { return words[v] }
