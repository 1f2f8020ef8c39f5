// Package fastflow describes the UDP flows that the kernel forwards without user space, the fast
// path. It has hardly any code, so that package proxy, which decides which flows these are, and package
// steering, which tells the kernel, need not know each other, and proxy needs no BPF.
package fastflow

import (
	"net/netip"
	"time"
)

// Header is what the program puts before the payload of each datagram to the origin. It computes
// the header from the addresses of the datagram itself, so an entry does not store one.
type Header uint8

// The headers.
const (
	None Header = iota
	V2          // PROXY protocol v2 without TLVs: 28 bytes for IPv4, 52 for IPv6
	SPP         // 38 bytes; it is required, checked and cut off in the other direction, too
)

// Flow is what the program needs to know of a flow. No address has a zone or is IPv4-mapped. Client
// and Dst are of one family, and Source and Origin are of one; these two may differ, and then the
// kernel can't forward the flow.
type Flow struct {
	Client, Dst    netip.AddrPort // of the client's datagrams
	Source, Origin netip.AddrPort // of the datagrams to the origin
	Header         Header
	SharesSource   bool          // other flows have the same Source and Origin: SPP tells their answers apart
	Idle           time.Duration // how long without a datagram in either direction until user space decides again
	Until          time.Time     // user space decides from then on; zero if it need not
}

// Count is what the program has forwarded in one direction.
type Count struct {
	Packets uint64 // datagrams
	Bytes   uint64 // of payload: without the header that the program adds or cuts off
}

// Usage is what the program has forwarded since the flow was admitted.
type Usage struct {
	ToOrigin, ToClient Count
	Quiet              time.Duration // since the last datagram, in either direction; up to a second less is possible
}

// Refusal is why a flow was not admitted, in one word. It is an error.
type Refusal string

// The refusals.
const (
	Off      Refusal = "off"      // the program is not loaded: see the status
	Full     Refusal = "full"     // as many flows are admitted as the table has room for
	Unrouted Refusal = "unrouted" // the kernel has no route to the client or to the origin, or it leads to this host
	Device   Refusal = "device"   // a device on the way has no program: something speaks against it, see the status
	Families Refusal = "families" // client and origin do not have addresses of one family
	Broken   Refusal = "broken"   // the kernel refused for another reason
)

func (r Refusal) Error() string { return "the kernel does not forward this flow: " + string(r) }
