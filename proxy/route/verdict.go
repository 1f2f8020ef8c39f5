package route

// Verdict is what became of a conn, a flow or a datagram. Its word stands in the
// log, in the label of the metric and in the tests that decide what is right.
type Verdict uint8

// The verdicts. The zero value says that nothing is decided yet.
const (
	Undecided Verdict = iota

	// Admitted conns and flows live; forwarded datagrams went on their way.
	Admitted
	Forwarded

	// Never begun: nothing was sent to an origin.
	NoRoute          // no route forwards this dst (any more)
	Denied           // by allow and deny
	OverMaxConns     // the route holds max_conns already
	OverMaxPerClient // this client holds max_conns_per_client already
	OverMaxFlows     // the route, or the whole table, holds its most flows already
	OverClientFlows  // this client holds max_flows_per_client already
	NoOrigin         // the route has no origin that takes new conns
	ConnectFailed    // every origin tried refused or was unreachable
	ConnectTimedOut  // the last origin tried did not answer in time
	HeaderFailed     // the PROXY header can't name this client and dst
	OutOfFiles       // no file descriptor is left
	OutOfPorts       // no local port is left to dial an origin from
	Draining         // the process, or this route, takes no new conns
	Responder        // from the port of a server that answers anything: two would never stop
	Looped           // an answer of this very proxy, come back as a question

	// Ended.
	Closed            // both sides closed in order
	ResetByClient     // RST, passed on to the origin
	ResetByOrigin     // RST, passed on to the client
	ClientTimedOut    // vanished: it answered neither probes nor retransmissions
	OriginTimedOut    // likewise
	IdleTimedOut      // no byte in either direction; the usual end of a flow
	HalfCloseTimedOut // one side had closed, the other sent on for too long
	DrainTimedOut     // cut when drain_timeout ended
	RelayFailed       // an error of the relay's own
	Evicted           // a flow that gave way to another

	// Datagrams that went nowhere.
	Overflowed  // the listener's receive buffer was full, or too many new flows waited
	Truncated   // longer than any buffer can be
	PortZero    // from port 0 or to port 0
	BadHeader   // an SPP reply whose header is missing or names another flow
	TooLarge    // no room for the header in one datagram
	Amplified   // more than the client may be sent before it has shown it is there
	SendFailed  // the kernel refused it
	OriginError // an ICMP error of the origin stands for it

	// Verdicts is the number of verdicts.
	Verdicts
)

var words = [Verdicts]string{
	Undecided: "undecided",
	Admitted:  "admitted", Forwarded: "forwarded",
	NoRoute: "no_route", Denied: "denied", OverMaxConns: "max_conns", OverMaxPerClient: "max_conns_per_client",
	OverMaxFlows: "max_flows", OverClientFlows: "max_flows_per_client", NoOrigin: "no_origin", ConnectFailed: "connect_failed", ConnectTimedOut: "connect_timeout",
	HeaderFailed: "header_failed", OutOfFiles: "out_of_files", OutOfPorts: "out_of_ports", Draining: "draining",
	Responder: "responder", Looped: "looped",
	Closed: "closed", ResetByClient: "client_reset", ResetByOrigin: "origin_reset", ClientTimedOut: "client_timeout", OriginTimedOut: "origin_timeout", IdleTimedOut: "idle_timeout",
	HalfCloseTimedOut: "half_close_timeout", DrainTimedOut: "drain_timeout", RelayFailed: "relay_failed", Evicted: "evicted",
	Overflowed: "overflowed", Truncated: "truncated", PortZero: "port_zero", BadHeader: "bad_header", TooLarge: "too_large", Amplified: "amplified",
	SendFailed: "send_failed", OriginError: "origin_error",
}

func (v Verdict) String() string { return words[v] }
