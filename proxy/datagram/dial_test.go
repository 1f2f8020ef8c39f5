package datagram

import (
	"errors"
	"net/netip"
	"testing"

	"anyport/proxy/call"
)

// TestDialItself: a free port of an origin that is down may become the dialling socket's own.
func TestDialItself(t *testing.T) {
	fd := openUDP(t, loopback)
	if err := connect(fd, bindAny(t, fd, loopback), netip.Addr{}); !errors.Is(err, call.ErrItself) {
		t.Errorf("got %v, want %v", err, call.ErrItself)
	}
}
