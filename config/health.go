package config

import "time"

// Health is one table of a health check: [health.NAME] or [route.NAME.health]. Two routes with equal
// checks of one origin share them.
type Health struct {
	Type     CheckType
	Interval time.Duration // from the start of a check to the start of the next, at most
	Timeout  time.Duration // of one check
	Rise     int           // checks in a row that an origin must pass to be up
	Fall     int           // and fail to be down
	Port     uint16        // 0: the origin's own
	Send     string        // tcp, udp: sent first
	Expect   string        // tcp, udp: the answer must begin with it
	Path     string        // http
	Header   ProxyProtocol // before the check: ProxyOff, ProxyV1, ProxyV2, or HeaderOfRoute
}

// HeaderOfRoute has a check begin with the header that the route's proxy_protocol says.
const HeaderOfRoute ProxyProtocol = "route"

// CheckType is what a health check does.
type CheckType string

// The types of checks.
const (
	CheckTCP  CheckType = "tcp"  // connect; then send and expect, if there are any
	CheckUDP  CheckType = "udp"  // send a datagram, and expect one
	CheckHTTP CheckType = "http" // GET; a status from 200 to 399
	CheckTLS  CheckType = "tls"  // a handshake
)
