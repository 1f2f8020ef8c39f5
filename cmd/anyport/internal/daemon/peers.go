package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"anyport/cmd/anyport/internal/peers"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/steering/fleet"
)

// peering is this host's part in [fleet] peers: what the file wants, and what of it is in force. Devices
// and addresses come and go, so what could not be done is tried again. The mutex guards all of it.
type peering struct {
	mu      sync.Mutex
	wanted  config.Fleet
	keys    peers.Keys
	inForce fleet.Options
	sure    bool          // inForce is what the kernel does; else a process before may have left something else
	segment int           // that clients were told; 0: none
	limited bool          // segment is what the listeners have; else likewise
	failed  string        // why inForce is not what is wanted; "": it is
	told    fleet.Options // what the log says is in force
	joined  bool          // the proxy asks
}

// peerInterval is how late a change of the backplane's addresses or MTU is noticed.
const peerInterval = 5 * time.Second

// readPeerKeys reads what peers prove themselves with, if there are peers.
func (d *daemon) readPeerKeys(c *config.Config) (peers.Keys, error) {
	if !c.Fleet.HasPeers() {
		return peers.Keys{}, nil
	}
	path := c.Fleet.Key
	keys, err := slowfs.Do(d.slow, "read "+path, func() (peers.Keys, error) { return peers.ReadKeys(path) })
	if err != nil {
		return keys, fmt.Errorf("[fleet] key: %w", err)
	}
	return keys, nil
}

// usePeers puts the peers of a generation into force, as far as the devices are there. A failure is no
// reason not to serve.
func (d *daemon) usePeers(g *generation) {
	p := &d.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted, p.keys = g.config.Fleet, g.peerKeys
	d.joinPeers()
	if kernel, err := d.steering.Fleet(); err == nil && !p.joined { // a reload has brought it
		d.proxy.JoinFleet(kernel)
		p.joined = true
	}
}

// tellMove has the peers, and this host, ask about flows that they do not know: the routers will soon send them
// elsewhere, because this host begins to drain or ends that, or what it announces changes.
func (d *daemon) tellMove() {
	kernel, _ := d.steering.Fleet()
	kernel.Move()
}

// keepPeers follows what changes on the backplane, until ctx ends.
func (d *daemon) keepPeers(ctx context.Context) {
	every(ctx, peerInterval, func() {
		d.peers.mu.Lock()
		defer d.peers.mu.Unlock()
		d.joinPeers()
	})
}

// joinPeers does what the file wants with the addresses of now, and logs what has changed. The caller
// holds the mutex of d.peers.
func (d *daemon) joinPeers() {
	p := &d.peers
	failed := ""
	if err := d.tryPeers(); err != nil {
		failed = err.Error()
	}
	if failed != "" && failed != p.failed {
		d.log.Warn("the peers are not asked about conns: those end when the routers hash in another way", "because", failed)
	}
	p.failed = failed
	if failed == "" && !p.told.Equal(p.inForce) && len(p.told.Peers)+len(p.inForce.Peers) > 0 {
		p.told = p.inForce
		d.log.Info("speaking with the peers", "device", p.inForce.Device, "address", p.inForce.Local, "peers", len(p.inForce.Peers), "segment", p.segment)
	}
}

// tryPeers is joinPeers without the log.
func (d *daemon) tryPeers() error {
	if err := d.setPeers(); err != nil {
		return err
	}
	return d.limitSegments()
}

// setPeers has the kernel ask the peers.
func (d *daemon) setPeers() error {
	p := &d.peers
	kernel, err := d.steering.Fleet()
	switch {
	case err != nil && p.wanted.HasPeers():
		return err
	case err != nil && p.sure:
		return nil
	case err != nil:
		p.sure = true
		return d.steering.PinFleet()
	}
	addresses, err := peers.Addresses(p.wanted)
	if err != nil {
		return err
	}
	options, err := peers.Options(p.wanted, p.keys, addresses)
	if err != nil {
		return err
	}
	if options.Equal(p.inForce) && p.sure {
		return nil
	}
	if err := kernel.Set(options); err != nil {
		p.inForce, p.sure = fleet.Options{}, false // or those before: Set does nothing if they are set again
		return err
	}
	p.inForce, p.sure = options, true
	return errors.Join(d.steering.ExpectProbes(len(options.Peers) > 0), d.steering.PinFleet())
}

// limitSegments has new clients send segments that fit through the backplane when they are wrapped.
func (d *daemon) limitSegments() error {
	p := &d.peers
	segment := 0
	if len(p.inForce.Peers) > 0 {
		kernel, _ := d.steering.Fleet()
		clients, err := peers.LargestMTU(p.inForce.Device)
		if err != nil {
			return err
		}
		segment = peers.Segment(peers.SmallestMTU(kernel.Status()), clients, fleet.Overhead(p.inForce.Local))
	}
	if segment == p.segment && p.limited {
		return nil
	}
	if err := d.steering.LimitSegments(segment); err != nil {
		return err
	}
	p.segment, p.limited = segment, true
	return nil
}

// clientSegment is what clients were told, for listeners of another process; 0: nothing.
func (d *daemon) clientSegment() int {
	d.peers.mu.Lock()
	defer d.peers.mu.Unlock()
	return d.peers.segment
}
