package fleet

import (
	"fmt"
	"net/netip"
	"slices"
)

// Options are what a reload may change.
type Options struct {
	Device string       // of the backplane; it must have Ethernet headers
	Local  netip.Addr   // this host's address on it
	Peers  []netip.Addr // the other hosts', all of Local's family, at most MaxPeers; none: nothing is attached
	Key    [16]byte     // what this host signs with; another one must accept it
	Also   [16]byte     // accepted, too, while the key is changed; Key: nothing else is
}

// MaxPeers is how many peers there is room for.
const MaxPeers = 64

// Port is the UDP port of the backplane, on both ends of hello, mine and gone. Wrapped packets have it
// as destination.
const Port = 6793

// Overhead is how many bytes longer a wrapped packet is, where the peers have addresses like local: the
// outer IP header, UDP's, and 16 bytes.
func Overhead(local netip.Addr) int {
	if local.Is4() {
		return 20 + 8 + 16
	}
	return 40 + 8 + 16
}

// check says what is wrong with options that have peers.
func (o Options) check() error {
	if len(o.Peers) > MaxPeers {
		return fmt.Errorf("there are %d peers, and room for %d", len(o.Peers), MaxPeers)
	}
	for i, p := range o.Peers {
		switch {
		case p.Is4() != o.Local.Is4():
			return fmt.Errorf("the peer %s and this host's address %s are of different families: give all hosts addresses of one", p, o.Local)
		case p == o.Local:
			return fmt.Errorf("the peer %s is this host", p)
		case slices.Contains(o.Peers[:i], p):
			return fmt.Errorf("the peer %s is there twice", p)
		}
	}
	return nil
}

// Equal reports whether there is nothing to change.
func (o Options) Equal(other Options) bool {
	return o.Device == other.Device && o.Local == other.Local && o.Key == other.Key && o.Also == other.Also && slices.Equal(o.Peers, other.Peers)
}
