package ingress

import (
	"cmp"
	"errors"
	"net"
	"slices"

	"github.com/vishvananda/netlink"

	"anyport/steering/host"
)

// Candidate is a device as the kernel describes it.
type Candidate struct {
	Index, MTU int
	Name       string
	Off        string // why no program is attached; "": it is
}

// Candidates says of each device that is up whether a program can be attached. Packets of a
// bridge's or bond's member go through the ingress of the bridge or bond as well.
func Candidates(links []netlink.Link) []Candidate {
	var all []Candidate
	for _, l := range links {
		a := l.Attrs()
		c := Candidate{Index: a.Index, MTU: a.MTU, Name: a.Name}
		master := slices.IndexFunc(links, func(m netlink.Link) bool { return a.MasterIndex != 0 && m.Attrs().Index == a.MasterIndex })
		switch {
		case a.Flags&net.FlagLoopback != 0 || a.Flags&net.FlagUp == 0 || host.IsTUN(l):
			continue
		case a.EncapType != "ether":
			c.Off = "its packets have no Ethernet header"
		case a.MasterIndex != 0 && master < 0:
			c.Off = "it belongs to a device that this namespace does not have"
		case master >= 0 && links[master].Type() == "vrf", l.Type() == "vrf":
			c.Off = "it belongs to a VRF"
		case master >= 0:
			c.Off = "it is a member of " + links[master].Attrs().Name
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Candidate) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// List lists the devices. It asks again if they changed while the kernel listed them.
func List(handle *netlink.Handle) (all []netlink.Link, err error) {
	for range 10 {
		if all, err = handle.LinkList(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}
