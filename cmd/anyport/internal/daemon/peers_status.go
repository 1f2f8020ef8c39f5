package daemon

import (
	"cmp"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/steering/fleet"
)

// peerStatus is nil if the file has no peers.
func (d *daemon) peerStatus() *admin.PeersStatus {
	p := &d.peers
	p.mu.Lock()
	wanted, inForce, segment, failed := p.wanted, p.inForce, p.segment, p.failed
	p.mu.Unlock()
	if !wanted.HasPeers() {
		return nil
	}
	kernel, _ := d.steering.Fleet()
	status := peersStatus(kernel.Status())
	status.Off = cmp.Or(failed, status.Off)
	status.Device, status.Segment = wanted.Device, segment
	if inForce.Local.IsValid() {
		status.Address = inForce.Local.String()
	}
	return status
}

// peersStatus is what the kernel's part says, in the words of the admin API.
func peersStatus(s fleet.Status) *admin.PeersStatus {
	c := s.Counts
	status := &admin.PeersStatus{
		Off: s.Off, Way: string(s.Way), MTU: s.MTU, Devices: []admin.PeerDevice{}, Peers: []admin.PeerStatus{}, ChangedAt: timeOrNil(s.Changed),
		Packets: map[string]uint64{
			"asked": c.Asked, "straight": c.Straight, "taken": c.Taken, "foreign": c.Foreign, "shed": c.Shed,
			"given_up": c.GivenUp, "denied": c.Denied, "too_long": c.TooLong, "unsent": c.Unsent, "forged": c.Forged,
		},
		Conns: map[string]uint64{"learnt": c.Learnt, "told": c.Told, "gone": c.Gone, "sought": c.Sought, "unsought": c.Unsought, "unsent": c.Lost},
	}
	for _, d := range s.Asking {
		status.Devices = append(status.Devices, admin.PeerDevice(d))
	}
	for _, p := range s.Peers {
		status.Peers = append(status.Peers, admin.PeerStatus{
			Address: p.Addr.String(), Alive: p.Alive, Off: p.Off, HeardAt: timeOrNil(p.LastHello),
			RTTSeconds: p.RTT.Seconds(), MTU: p.MTU, Clock: p.Clock.Seconds(), WrongTags: p.WrongTag,
		})
	}
	return status
}

// timeOrNil is nil for the zero time, which JSON would show as the year 1.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
