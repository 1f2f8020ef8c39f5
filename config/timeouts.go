package config

import (
	"time"
)

// How long a flow may be idle if udp_idle_timeout is "auto". RFC 4787 §4.3 asks a NAT for two
// minutes, and allows less for ports whose protocol needs less.
const (
	dnsIdle  = 17 * time.Second // dig gives up after three times five
	quicIdle = 2 * time.Minute  // quiet between two pages: RFC 9308 §3.2
	flowIdle = time.Minute
)

// FlowIdle is how long a flow to a dst port may go without a datagram in either
// direction.
func (t Timeouts) FlowIdle(port uint16) time.Duration {
	switch {
	case t.UDPIdle > 0:
		return t.UDPIdle
	case port == 53:
		return dnsIdle
	case port == 443:
		return quicIdle
	}
	return flowIdle
}

// LongestFlowIdle is FlowIdle of the port where it is the longest.
func (t Timeouts) LongestFlowIdle() time.Duration { return t.FlowIdle(443) }
