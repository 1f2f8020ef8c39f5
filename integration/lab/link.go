package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Port is one end of a link: a host's device and its addresses with their lengths.
type Port struct {
	*Host
	Device    string
	Addresses []string
}

// Join connects two hosts by a veth pair with MTU 1500.
func Join(a, b Port) error {
	err := a.net.LinkAdd(&netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: a.Device, MTU: 1500},
		PeerName:      b.Device,
		PeerNamespace: netlink.NsFd(b.handle),
	})
	if err != nil {
		return fmt.Errorf("veth %s–%s: %w", a.Name, b.Name, err)
	}
	for _, end := range []Port{a, b} {
		if err := end.up(); err != nil {
			return err
		}
	}
	return nil
}

func (p Port) up() error {
	link, err := p.net.LinkByName(p.Device)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", p.Name, p.Device, err)
	}
	for _, address := range p.Addresses {
		if err := p.address(link, address); err != nil {
			return err
		}
	}
	return p.net.LinkSetUp(link)
}

// address gives a link of the host one more address.
func (h *Host) address(link netlink.Link, address string) error {
	parsed, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	parsed.Flags = unix.IFA_F_NODAD
	if err := h.net.AddrAdd(link, parsed); err != nil {
		return fmt.Errorf("%s: address %s: %w", h.Name, address, err)
	}
	return nil
}

// Route sends a prefix by way of a gateway.
func (h *Host) Route(prefix, gateway string) error {
	_, dst, err := net.ParseCIDR(prefix)
	if err != nil {
		return err
	}
	if err := h.net.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(gateway)}); err != nil {
		return fmt.Errorf("%s: route %s via %s: %w", h.Name, prefix, gateway, err)
	}
	return nil
}

// Local makes every address of a prefix the host's own. Table 0 is the local table, which
// applies to all packets; other tables apply to packets that a rule sends there.
func (h *Host) Local(prefix string, table int) error {
	_, dst, err := net.ParseCIDR(prefix)
	if err != nil {
		return err
	}
	lo, err := h.net.LinkByName("lo")
	if err != nil {
		return err
	}
	if table == 0 {
		table = unix.RT_TABLE_LOCAL
	}
	route := &netlink.Route{
		Dst: dst, LinkIndex: lo.Attrs().Index, Table: table,
		Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST,
	}
	if err := h.net.RouteAdd(route); err != nil {
		return fmt.Errorf("%s: local %s: %w", h.Name, prefix, err)
	}
	return nil
}

// Rule sends packets with a mark to a table, of the family of a prefix.
func (h *Host) Rule(mark uint32, table int, of netip.Prefix) error {
	rule := netlink.NewRule()
	rule.Mark, rule.Table, rule.Family = mark, table, unix.AF_INET
	if !of.Addr().Is4() {
		rule.Family = unix.AF_INET6
	}
	if err := h.net.RuleAdd(rule); err != nil {
		return fmt.Errorf("%s: rule for mark %d: %w", h.Name, mark, err)
	}
	return nil
}
