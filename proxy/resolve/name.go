package resolve

import (
	"net/netip"
	"slices"
	"time"
)

// Name is a DNS name in lower case: of A and AAAA records, or of SRV records.
type Name struct {
	Host string
	SRV  bool
}

// String is the name as the file has it.
func (n Name) String() string {
	if n.SRV {
		return "srv:" + n.Host
	}
	return n.Host
}

// Target is one thing that a name stands for. A name of A and AAAA records has one target with all
// addresses; a name of SRV records has one for each record.
type Target struct {
	Addrs  []netip.Addr // sorted, unmapped, without duplicates
	Port   uint16       // of an SRV record; otherwise 0
	Weight int          // 1 to 256 of an SRV record; otherwise 1
	Backup bool         // an SRV record that has not the lowest priority
}

// Answer is what is known of a name. It never changes: the next one replaces it.
type Answer struct {
	Targets []Target  // with at least one address each; nil: nothing is known
	Until   time.Time // when it is asked again
	Server  string    // who answered last; "" if nobody has
	Err     error     // why the last try failed, in whole or in part; Targets are then the last good ones
}

// sameTargets reports whether two answers lead to the same servers.
func sameTargets(a, b []Target) bool {
	return slices.EqualFunc(a, b, func(a, b Target) bool {
		return slices.Equal(a.Addrs, b.Addrs) && a.Port == b.Port && a.Weight == b.Weight && a.Backup == b.Backup
	})
}
