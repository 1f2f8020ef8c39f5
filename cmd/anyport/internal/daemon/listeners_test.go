package daemon

import (
	"testing"

	"anyport/cmd/anyport/internal/saved"
	"anyport/config"
	"anyport/proxy"
	"anyport/steering"
)

// TestListenerDrops: what the kernel drops at a socket is counted once, whichever process looks, and also
// what it drops between two processes.
func TestListenerDrops(t *testing.T) {
	const cookie = 0xfedcba9876543210
	known, total := saved.Counts{}, uint64(0)
	for n, step := range []struct {
		inherited uint32   // what the kernel has counted when this process begins; 0: it opens the socket
		looks     []uint32 // what it says while the process serves
		want      uint64   // in all
	}{
		{0, []uint32{0, 3, 3, 1<<32 - 1}, 1<<32 - 1},
		{5, []uint32{5, 7}, 1<<32 + 7}, // 6 between the processes
		{9, []uint32{10}, 1<<32 + 10},
	} {
		var c listenerDrops
		var listeners []steering.Listener
		if step.inherited > 0 {
			listeners = said(cookie, step.inherited)
		}
		c.adopt(listeners, known)
		for _, drops := range step.looks {
			total += c.newDrops(said(cookie, drops))[config.TCP]
		}
		c.newDrops(nil) // of a steering that is closed
		if total != step.want {
			t.Errorf("step %d: %d, want %d", n, total, step.want)
		}
		known = saved.Counts{}
		c.each(func(id proxy.CounterID, n uint64) { known[id] = n })
	}
}

// TestListenerDropsAdopted: what an inherited socket has dropped before counts where that was saved, and
// not where nothing is known of it. A loss of 0 is known, too.
func TestListenerDropsAdopted(t *testing.T) {
	var before, unknown, after listenerDrops
	before.adopt(nil, nil)
	before.newDrops(said(7, 0))
	known := saved.Counts{}
	before.each(func(id proxy.CounterID, n uint64) {
		if n > 0 { // others are not saved
			known[id] = n
		}
	})
	if after.adopt(said(7, 4), known); after.newDrops(said(7, 4))[config.TCP] != 4 {
		t.Error("a loss between two processes is not counted")
	}
	if unknown.adopt(said(7, 4), nil); unknown.newDrops(said(7, 4))[config.TCP] != 0 {
		t.Error("a loss of the time before is counted a second time")
	}
	if n := unknown.newDrops(said(8, 2))[config.TCP]; n != 2 {
		t.Errorf("%d of a new socket, want 2", n)
	}
}

// said is what the kernel says of one listener.
func said(cookie uint64, drops uint32) []steering.Listener {
	return []steering.Listener{{Protocol: config.TCP, Cookie: cookie, Drops: drops}}
}
