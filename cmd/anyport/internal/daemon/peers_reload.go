package daemon

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/peers"
	"anyport/config"
	"anyport/steering"
	"anyport/steering/fleet"
)

// wants reports whether the peers of a generation are those that are wanted already. The caller holds the mutex.
func (p *peering) wants(g *generation) bool {
	f := g.config.Fleet
	return f.Device == p.wanted.Device && f.Key == p.wanted.Key && slices.Equal(f.Peers, p.wanted.Peers) && g.peerKeys == p.keys
}

// changePeers puts the peers of next into force before all else of it, or changes nothing. preloaded is what asks them, if
// it came with the order; it stays the caller's. undo puts the peers before into force again.
//
// A reload that does not change the peers is not refused for them: what a device lacks may come later.
func (d *daemon) changePeers(next *generation, preloaded steering.Inheritance) (undo func(), err error) {
	p := &d.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	kernel, _ := d.steering.Fleet()
	missing := kernel == nil && next.config.Fleet.HasPeers()
	same := p.wants(next)
	if same && !(missing && len(preloaded) > 0) {
		return func() {}, nil
	}
	before, keys := p.wanted, p.keys
	p.wanted, p.keys = next.config.Fleet, next.peerKeys
	if missing {
		err = d.addFleet(preloaded)
	}
	if err == nil {
		err = d.attachPeers()
	}
	if err != nil {
		d.takeBackPeers(before, keys, missing)
		if same {
			d.log.Warn("still no peers are asked about conns", "because", err)
			return func() {}, nil
		}
		return nil, peersProblem(next.config, err)
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		d.takeBackPeers(before, keys, missing)
	}, nil
}

// attachPeers is tryPeers, and an error where the programs could not be attached. The caller holds the mutex.
func (d *daemon) attachPeers() error {
	if err := d.tryPeers(); err != nil || len(d.peers.inForce.Peers) == 0 {
		return err
	}
	kernel, _ := d.steering.Fleet()
	if off := kernel.Status().Off; off != "" {
		return errors.New(off)
	}
	return nil
}

// takeBackPeers has the peers of before wanted again. added: what asks peers came with those that were to follow.
// The caller holds the mutex.
func (d *daemon) takeBackPeers(before config.Fleet, keys peers.Keys, added bool) {
	p := &d.peers
	p.wanted, p.keys = before, keys
	if kernel, _ := d.steering.Fleet(); added && kernel != nil {
		p.inForce, p.sure = fleet.Options{}, false
		if err := errors.Join(d.steering.DropFleet(), d.steering.ExpectProbes(false)); err != nil {
			d.log.Warn("cannot take back what asks the peers", "error", err)
		}
	}
	d.joinPeers()
}

// addFleet has the steering able to ask peers, by copies of what came with the order.
func (d *daemon) addFleet(preloaded steering.Inheritance) error {
	in := steering.Inheritance{}
	for name, fd := range preloaded {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return errors.Join(fmt.Errorf("copy the descriptor %s: %w", name, err), in.Close())
		}
		in[name] = copied
	}
	return d.steering.AddFleet(in)
}

// checkPeers says why changePeers would refuse next, as far as that is known before.
func (d *daemon) checkPeers(next *generation, preloaded steering.Inheritance) error {
	p := &d.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	f := next.config.Fleet
	if p.wants(next) || !f.HasPeers() {
		return nil
	}
	addresses, err := peers.Addresses(f)
	if err == nil {
		_, err = peers.Options(f, next.peerKeys, addresses)
	}
	if err == nil && len(preloaded) == 0 {
		err = d.steering.MayAddFleet()
	}
	if err != nil {
		return peersProblem(next.config, err)
	}
	return nil
}

// checkTrialPeers refuses a trial of peers where nothing can ask them yet: what can comes with a reload for all clients.
func (d *daemon) checkTrialPeers(next *generation) error {
	d.peers.mu.Lock()
	defer d.peers.mu.Unlock()
	if kernel, _ := d.steering.Fleet(); kernel != nil || !next.config.Fleet.HasPeers() || d.peers.wants(next) {
		return nil
	}
	return peersProblem(next.config, errors.New("anyport began without peers: reload without --share"))
}

// peersProblem is an error about the peers of a file, at its place there. The commands tell it from others.
func peersProblem(c *config.Config, err error) error {
	return admin.Refuse(admin.ErrPeers, c.Locate(config.Problems{{File: c.Path, Key: "fleet.peers", Text: "the peers cannot be asked: " + err.Error()}}))
}
