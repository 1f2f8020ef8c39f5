package daemon

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/saved"
	"anyport/config"
	"anyport/proxy"
	"anyport/steering"
)

// listenerDrops counts what the kernel drops at the listeners. The kernel counts in 32 bits, from the
// opening of a socket on, which several processes may share one after the other: so what it had counted
// at the last look goes to the next process. Its methods may be called from any goroutine.
type listenerDrops struct {
	mu   sync.Mutex
	seen map[uint64]uint32 // by cookie: what the kernel had counted at the last look
	tcp  atomic.Uint64     // of all processes; those over UDP are counted by the proxy
}

// keyDrops is followed by the cookie of a listener. It is a value of the process that served last.
const keyDrops = "=listener/drops/"

// adopt takes all that the kernel has counted so far for counted, as far as known does not say
// otherwise: it is of processes that did not save it.
func (c *listenerDrops) adopt(listeners []steering.Listener, known saved.Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = map[uint64]uint32{}
	for _, l := range listeners {
		c.seen[l.Cookie] = l.Drops
	}
	for id, n := range known {
		text, ok := strings.CutPrefix(id.Key, keyDrops)
		if cookie, err := strconv.ParseUint(text, 16, 64); ok && err == nil {
			c.seen[cookie] = uint32(n - 1)
		}
	}
}

// adoptDrops goes on from what the processes before have counted, which is in known if it was saved. All
// drops of a socket that this process has opened are its own.
func (d *daemon) adoptDrops(known saved.Counts) {
	var inherited []steering.Listener
	if d.inherited {
		inherited = d.listeners()
	}
	d.drops.adopt(inherited, known)
}

// newDrops returns what the kernel has dropped since the last look.
func (c *listenerDrops) newDrops(listeners []steering.Listener) map[config.Protocol]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	drops, seen := map[config.Protocol]uint64{}, map[uint64]uint32{}
	for _, l := range listeners {
		drops[l.Protocol] += uint64(l.Drops - c.seen[l.Cookie]) // modulo 2³²
		seen[l.Cookie] = l.Drops
	}
	if len(listeners) > 0 { // none: the steering is closed
		c.seen = seen
	}
	return drops
}

// each yields the counters for the next process.
func (c *listenerDrops) each(yield func(proxy.CounterID, uint64)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cookie, n := range c.seen {
		yield(proxy.CounterID{Key: keyDrops + strconv.FormatUint(cookie, 16)}, uint64(n)+1) // what is 0 is not saved
	}
	yield(proxy.CounterID{Key: keyAcceptOverflows}, c.tcp.Load())
}

// keyOverflowed is the proxy's key of datagrams that did not fit into the listener's receive buffer.
const keyOverflowed = "datagrams/to_origin/overflowed"

// countDrops adds what the kernel has dropped at the listeners since the last look.
func (d *daemon) countDrops() {
	for protocol, n := range d.drops.newDrops(d.listeners()) {
		switch {
		case n == 0:
		case protocol == config.TCP:
			d.drops.tcp.Add(n)
		default:
			d.proxy.AddCount(proxy.CounterID{Key: keyOverflowed}, n)
		}
	}
}

// listeners returns none if the kernel cannot be asked, for which no cause is known.
func (d *daemon) listeners() []steering.Listener {
	all, err := d.steering.Listeners()
	if err != nil {
		d.log.Debug("cannot ask the kernel about the listeners", "error", err)
	}
	return all
}

// listenerStatus is what the kernel reports of the listeners.
func (d *daemon) listenerStatus() admin.ListenerStatus {
	status := admin.ListenerStatus{Accept: []admin.QueueUse{}, Receive: []admin.QueueUse{}, AcceptOverflows: d.drops.tcp.Load()}
	for _, l := range d.listeners() {
		use := admin.QueueUse{Used: l.Queued, Most: l.Room}
		if l.Protocol == config.TCP {
			status.Accept = append(status.Accept, use)
		} else {
			status.Receive = append(status.Receive, use)
		}
	}
	return status
}
