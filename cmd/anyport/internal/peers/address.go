package peers

import (
	"fmt"
	"net/netip"
	"slices"

	"anyport/config"
	"anyport/steering/fleet"
)

// Options are what [fleet] of a file means on a host whose device of the backplane has these addresses.
// The file may name this host among the peers, so that all hosts can have the same list.
func Options(f config.Fleet, keys Keys, addresses []netip.Prefix) (fleet.Options, error) {
	o := fleet.Options{Device: f.Device, Key: keys.First, Also: keys.Also}
	if !f.HasPeers() {
		return o, nil
	}
	if o.Local = ownAddress(f.Peers, addresses); !o.Local.IsValid() {
		return o, fmt.Errorf("%s has no address of the same family as %s: give it one that the peers know, with: ip address add ADDRESS/LENGTH dev %[1]s", f.Device, f.Peers[0])
	}
	for _, peer := range f.Peers {
		if peer != o.Local && !slices.Contains(o.Peers, peer) {
			o.Peers = append(o.Peers, peer)
		}
	}
	if len(o.Peers) > fleet.MaxPeers {
		return o, fmt.Errorf("%d peers are too many: at most %d", len(o.Peers), fleet.MaxPeers)
	}
	return o, nil
}

// ownAddress is the address that the peers know: one that the file names, else the one whose subnet most
// peers are in. The first wins among equals; the zero address means that there is none.
func ownAddress(peers []netip.Addr, addresses []netip.Prefix) (own netip.Addr) {
	most := -1
	for _, a := range addresses {
		if a.Addr().Is4() != peers[0].Is4() || a.Addr().IsLinkLocalUnicast() {
			continue
		}
		if slices.Contains(peers, a.Addr()) {
			return a.Addr()
		}
		within := 0
		for _, peer := range peers {
			if a.Contains(peer) {
				within++
			}
		}
		if within > most {
			own, most = a.Addr(), within
		}
	}
	return own
}
