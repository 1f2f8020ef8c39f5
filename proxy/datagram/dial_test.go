package datagram

import (
	"errors"
	"testing"

	"anyport/proxy/call"
)

// TestDialItself: a free port of an origin that is down may become the dialling socket's own.
func TestDialItself(t *testing.T) {
	fd := openUDP(t, loopback)
	var d Dialer
	if err := d.connect(fd, bindAny(t, fd, loopback), nil); !errors.Is(err, call.ErrItself) {
		t.Errorf("got %v, want %v", err, call.ErrItself)
	}
}
