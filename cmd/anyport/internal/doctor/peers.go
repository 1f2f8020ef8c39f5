package doctor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/peers"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/steering/fleet"
)

// readPeers looks at what [fleet] peers needs of this host. Who answers is what the running anyport knows.
func readPeers(_ context.Context, f *Facts) error {
	if f.Config == nil || !f.Config.Fleet.HasPeers() {
		return nil
	}
	c := f.Config.Fleet
	_, f.PeerKeyErr = slowfs.Do(slowfs.New(readTimeout), "read "+c.Key, func() (peers.Keys, error) { return peers.ReadKeys(c.Key) })
	addresses, err := peers.Addresses(c)
	if err == nil {
		f.Backplane, err = peers.Options(c, peers.Keys{}, addresses)
	}
	if device, deviceErr := net.InterfaceByName(c.Device); deviceErr == nil {
		f.BackMTU = device.MTU
	}
	var mtuErr error
	f.ClientMTU, mtuErr = peers.LargestMTU(c.Device)
	f.PeerErr = errors.Join(err, mtuErr)
	return nil
}

const whyPeers = "conns end when the routers hash in another way"

// checkPeers: without the peers anyport serves as a host alone does.
func checkPeers(f *Facts) []Finding {
	if f.Config == nil || !f.Config.Fleet.HasPeers() {
		return ok("no peers in [fleet]")
	}
	c := f.Config.Fleet
	switch {
	case f.PeerKeyErr != nil:
		return fail("openssl rand -base64 32 | install -m 600 /dev/stdin "+c.Key+"   # on one host, then copy it to the others",
			"anyport refuses the file", "%v", f.PeerKeyErr)
	case f.PeerErr != nil:
		return warn("ip address show dev "+c.Device, whyPeers, "%v", f.PeerErr)
	}
	findings := slices.Concat(f.checkBackplane(), f.checkPeerHosts())
	return orOK(findings, "%s", f.backplaneText())
}

// checkBackplane judges the device. rp_filter 1 drops what peers unwrap: the clients are not where the
// backplane is.
func (f *Facts) checkBackplane() []Finding {
	device := f.Config.Fleet.Device
	i := slices.IndexFunc(f.Links, func(l Link) bool { return l.Name == device })
	switch {
	case i < 0: // the links were not read, which other checks report
		return nil
	case !f.Links[i].Up:
		return warn("ip link set dev "+device+" up", whyPeers, "%s is down", device)
	case f.Links[i].ReversePath == 1 && f.serves(netip.Addr.Is4):
		return warn("sysctl -w net.ipv4.conf."+device+".rp_filter=2", "the kernel drops packets of clients that a peer has sent on, and "+whyPeers,
			"rp_filter of %s is 1, or that of all devices", device)
	}
	return nil
}

// mostClockSkew is beyond what hosts that keep time differ by.
const mostClockSkew = 2 * time.Second

// checkPeerHosts judges what the running anyport knows of the others.
func (f *Facts) checkPeerHosts() []Finding {
	if f.Running == nil || f.Running.Peers == nil {
		return nil
	}
	s := f.Running.Peers
	if s.Off != "" {
		return warn("ip address show dev "+s.Device, whyPeers, "the running anyport does not ask the peers: %s", s.Off)
	}
	return each(s.Peers, f.checkPeer)
}

// checkPeer has one finding at most: the first that explains the others.
func (f *Facts) checkPeer(p admin.PeerStatus) []Finding {
	c := f.Config.Fleet
	switch {
	case !p.Alive && p.WrongTags > 0:
		return warn("scp "+p.Address+":"+c.Key+" "+c.Key+"   # or the other way; then: anyport reload, on both", whyPeers, "%s has another key", p.Address)
	case !p.Alive:
		return warn(fmt.Sprintf("ping -I %s %s   # and UDP port %d may pass; then: anyport status, on %[2]s: it needs this host's address among its peers", c.Device, p.Address, fleet.Port),
			whyPeers, "%s does not answer", p.Address)
	case p.Off != "":
		return warn("ip route get "+p.Address, whyPeers, "%s answers, and is not asked: %s", p.Address, p.Off)
	case p.MTU != 0 && p.MTU != f.BackMTU:
		return warn(fmt.Sprintf("ip link set dev %s mtu %d   # on the host that has less", c.Device, max(p.MTU, f.BackMTU)),
			"packets that are too long for one of the two are lost", "the backplane of %s has MTU %d, and this host's %d", p.Address, p.MTU, f.BackMTU)
	case math.Abs(p.Clock) > mostClockSkew.Seconds():
		return warn("timedatectl set-ntp true   # on the host that is wrong", "routes with active begin and end by it, and times in logs do not compare",
			"the clock of %s is %+.1f s from this host's", p.Address, p.Clock)
	}
	return nil
}

// backplaneText is what is in order.
func (f *Facts) backplaneText() string {
	text := fmt.Sprintf("%s is %s, MTU %d", f.Config.Fleet.Device, f.Backplane.Local, f.BackMTU)
	overhead := fleet.Overhead(f.Backplane.Local)
	if segment := peers.Segment(f.BackMTU, f.ClientMTU, overhead); segment > 0 {
		text += fmt.Sprintf("; clients send segments of %d bytes, so that they fit when wrapped (ip link set dev %s mtu %d lets them send longer ones)",
			segment, f.Config.Fleet.Device, f.ClientMTU+overhead)
	}
	if f.Running != nil && f.Running.Peers != nil {
		return text + fmt.Sprintf("; %d of %d peers alive", f.Running.Peers.Alive(), len(f.Running.Peers.Peers))
	}
	return text + "; whether the peers answer, a running anyport knows"
}
