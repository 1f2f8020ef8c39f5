package route

import "anyport/bpf/fastflow"

// FastReason is why the datagrams of a flow pass user space. Its word is in lists, in `explain` and in
// the label of a metric.
type FastReason uint8

// The reasons. With FastForwarded the kernel forwards the flow by itself.
const (
	FastForwarded FastReason = iota

	// What a flow can grow out of.
	FastUnavailable // the kernel has no fast path
	FastWaiting     // its next datagram asks the kernel
	FastUnanswered  // the origin has not answered yet
	FastUnvalidated // the client has not shown yet that it is there
	FastDraining    // the flow, its route or the process is drained
	FastNotAdmitted // its route would not take it now: denied, out of force, or gone

	// What the route or the flow is.
	FastOff           // fast_path = "off"
	FastDatagramLimit // datagrams_per_second: user space receives what the kernel has counted
	FastHeader        // a header that the program can't write: TLVs, or v2-first that has not been sent
	FastNamedClient   // a PROXY header names the client: accept_proxy
	FastZone          // a link-local client
	FastFamily        // the origin is of another family than the client
	FastTransparent   // the origin sees the client's own address
	FastKnock         // knock: the steering program remembers a flow that began through a door only while it sees its datagrams
	FastService       // action = "socket": a service takes the datagrams from the moment that it is there

	// What the kernel's side refused for: see fastflow.Refusal.
	FastFull
	FastUnrouted
	FastDevice
	FastBroken

	FastReasons // their number
)

func (r FastReason) String() string {
	return [FastReasons]string{
		"kernel", "unavailable", "waiting", "unanswered", "unvalidated", "draining", "not_admitted",
		"off", "datagrams_per_second", "header", "accept_proxy", "zone", string(fastflow.Families), "transparent", "knock", "service",
		string(fastflow.Full), string(fastflow.Unrouted), string(fastflow.Device), string(fastflow.Broken),
	}[r]
}

// Sentence says to an operator why the kernel does not forward such a flow.
func (r FastReason) Sentence() string {
	return [FastReasons]string{
		FastForwarded:     "the kernel forwards the flow",
		FastUnavailable:   "the kernel has no fast path, see anyport status",
		FastWaiting:       "its next datagram asks the kernel",
		FastUnanswered:    "the origin has not answered yet",
		FastUnvalidated:   "the client has not shown yet that it is there (anti_amplification)",
		FastDraining:      "the flow, its route or the process is being drained",
		FastNotAdmitted:   "the route would not take this client now",
		FastOff:           `fast_path is "off"`,
		FastDatagramLimit: "datagrams_per_second counts each datagram on its way to user space",
		FastHeader:        "the kernel can't write this header: TLVs, or v2-first before the first datagram",
		FastNamedClient:   "a PROXY header names the client of each datagram (accept_proxy)",
		FastZone:          "the client has a link-local address",
		FastFamily:        "the client and the origin are of different address families",
		FastTransparent:   "transparent dials the origin from the client's own address",
		FastKnock:         "knock: a flow that began through a door ends when the kernel has not seen it for a while",
		FastService:       "a service of this host takes the datagrams as soon as it has a socket",
		FastFull:          "the kernel's table of flows is full",
		FastUnrouted:      "the host has no route to the client or to the origin, or the origin is this host",
		FastDevice:        "something speaks against the device of the client or of the origin, see anyport status",
		FastBroken:        "the kernel refused it; the log says why",
	}[r]
}

// FastReasonOf is the reason for what the kernel's side refused.
func FastReasonOf(r fastflow.Refusal) FastReason {
	switch r {
	case fastflow.Off:
		return FastUnavailable
	case fastflow.Full:
		return FastFull
	case fastflow.Unrouted:
		return FastUnrouted
	case fastflow.Device:
		return FastDevice
	case fastflow.Families:
		return FastFamily
	}
	return FastBroken
}

// Fast is the flows that the kernel has entries of, at the moment.
func (s *Stats) Fast() int64 { return s.fast.Load() }

// AddFast adds n to Fast.
func (s *Stats) AddFast(n int64) { s.fast.Add(n) }

// FastDatagrams counts datagrams that the kernel has forwarded; Datagrams counts them as well.
func (c *Counters) FastDatagrams(d Direction, n uint64) { c.fast[d].Add(n) }

// FastRefused counts a flow that the kernel does not forward.
func (c *Counters) FastRefused(r FastReason) { c.fastRefused[r].Add(1) }
