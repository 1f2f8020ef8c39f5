package datagram

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"anyport/proxy/call"
)

// TestDialItself: a free port of an origin that is down may become the dialling socket's own.
func TestDialItself(t *testing.T) {
	fd := openUDP(t, loopback)
	if err := connect(fd, bindAny(t, fd, loopback), netip.Addr{}); !errors.Is(err, call.ErrItself) {
		t.Errorf("got %v, want %v", err, call.ErrItself)
	}
}

// TestLocalPorts: a range that has changed is in force within localPortsAge.
func TestLocalPorts(t *testing.T) {
	now, all := time.Now(), call.LocalPorts()
	var ports localPorts
	for _, port := range []uint16{all.First, all.Last} {
		if !ports.mayChoose(port, now) {
			t.Errorf("the kernel may choose %d of %v", port, all)
		}
	}
	if ports.mayChoose(all.First-1, now) {
		t.Errorf("the kernel doesn't choose %d: it has %v", all.First-1, all)
	}
	ports.First--
	if !ports.mayChoose(all.First-1, now.Add(localPortsAge)) || ports.mayChoose(all.First-1, now.Add(2*localPortsAge)) {
		t.Error("what was read is not used until it is too old")
	}
}
