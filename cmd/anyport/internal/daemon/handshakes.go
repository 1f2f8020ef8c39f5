package daemon

import (
	"maps"
	"time"

	"anyport/config"
	"anyport/steering/host"
)

// A stop waits for handshakes for this long, and looks so often whether they are complete. A lost SYN-ACK is sent again
// after a second (RFC 6298, section 2). The bound is for clients that never complete theirs, as in a SYN flood.
const handshakeWait, handshakePoll = 2 * time.Second, 20 * time.Millisecond

// drainAfterHandshakes calls drain, which ends the accepting, once the conns have come into the accept queues whose
// handshakes had begun when the kernel began to refuse new ones: their clients may see them as established already, so
// they must not be cut. New ones are refused meanwhile.
func (d *daemon) drainAfterHandshakes(drain func()) {
	begun := d.handshakes()
	if len(begun) == 0 {
		drain()
		return
	}
	go func() { // ends after handshakeWait at the latest
		for end := time.Now().Add(handshakeWait); len(begun) > 0 && time.Now().Before(end); {
			time.Sleep(handshakePoll)
			now := d.handshakes()
			maps.DeleteFunc(begun, func(h host.HalfOpen, _ bool) bool { return !now[h] })
		}
		drain()
	}()
}

// handshakes are the half-open conns to dsts that are forwarded; none if they cannot be listed. Those of another proxy
// behind TPROXY rules look the same, and complete as fast.
func (d *daemon) handshakes() map[host.HalfOpen]bool {
	all, err := host.HalfOpens()
	if err != nil {
		d.log.Warn("cannot wait for handshakes under way: their conns are cut", "error", err)
		return nil
	}
	table := d.serving.Load().table
	maps.DeleteFunc(all, func(h host.HalfOpen, _ bool) bool { return table.Lookup(config.TCP, h.Dst) == nil })
	return all
}
