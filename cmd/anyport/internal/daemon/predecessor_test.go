package daemon

import (
	"context"
	"errors"
	"maps"
	"testing"

	"anyport/cmd/anyport/internal/upgrade"
	"anyport/steering"
)

// TestKeepStored: the service manager has copies of what the process before held. What this process does
// not hold any more, or holds under another descriptor, is marked, so that storeFDs replaces it.
func TestKeepStored(t *testing.T) {
	d := &daemon{stored: map[string]int{}, before: &upgrade.Predecessor{Offer: upgrade.Offer{Stored: []string{"tcp", "udp-0", "udp-1", "link"}}}}
	given := steering.Inheritance{"tcp": 10, "udp-0": 11, "link": 13}
	held := steering.Inheritance{"tcp": 10, "udp-0": 21, "link": 13, "new": 30}
	d.keepStored(given, held)
	want := map[string]int{
		"tcp":   10, // the same
		"udp-0": -1, // another socket in its place
		"udp-1": -1, // there are fewer workers now
		"link":  13,
	}
	if !maps.Equal(d.stored, want) {
		t.Errorf("stored %v, want %v", d.stored, want)
	}
}

// TestAwaitConns: an upgrade waits for the conns that still come from the process before, until it is
// cancelled.
func TestAwaitConns(t *testing.T) {
	d := &daemon{}
	if err := d.awaitConns(t.Context()); err != nil {
		t.Errorf("without a process before: %v", err)
	}
	d.incoming = &incoming{over: make(chan struct{})}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.awaitConns(cancelled); !errors.Is(err, upgrade.ErrCancelled) {
		t.Errorf("cancelled: %v", err)
	}
	close(d.incoming.over)
	if err := d.awaitConns(t.Context()); err != nil {
		t.Errorf("after the last: %v", err)
	}
}
