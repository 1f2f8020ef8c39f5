package obstacle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// chain is a base chain of nftables.
type chain struct {
	family      uint8
	table, name string
	hook        uint32
	devices     []string // of a chain at the ingress of devices
	drops       bool     // its policy
}

// rule is a rule of any chain.
type rule struct {
	family       uint8
	table, chain string
	matches      []match
}

// match is one expression of a rule: it loads something into a register, compares a register, or is
// anything else.
type match struct {
	kind     string // "meta", "payload", "cmp", … as the kernel calls it
	register uint32
	meta     uint32 // of "meta": NFT_META_*
	base     uint32 // of "payload"
	offset   uint32
	equal    bool   // of "cmp"
	data     []byte // of "cmp"
}

// families of tables by the words of nft(8).
var families = map[uint8]string{unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_INET: "inet", unix.NFPROTO_NETDEV: "netdev", unix.NFPROTO_BRIDGE: "bridge"}

// Hooks of linux/netfilter.h. Chains of the family netdev count their hooks for themselves.
const (
	hookPrerouting = iota
	hookInput
	hookForward
	hookOutput
	hookPostrouting
	hookInetIngress

	hookNetdevIngress = 0
)

// nftObstacles are the base chains that may do something to datagrams that user space forwards. names are
// those of the devices by their index.
func nftObstacles(chains []chain, rules []rule, names map[uint32]string) (all []Obstacle) {
	for _, c := range chains {
		if !sees(c) {
			continue
		}
		what := fmt.Sprintf("nft table %s %s, chain %s", families[c.family], c.table, c.name)
		if c.drops {
			all = append(all, onDevices(c, Obstacle{What: what + " drops by default"})...)
		}
		for _, r := range rules {
			if r.family != c.family || r.table != c.table || r.chain != c.name || r.excludesUDP() {
				continue
			}
			device, prefix := r.device(names)
			all = append(all, onDevices(c, Obstacle{device, prefix, what + " has rules"})...)
		}
	}
	return slices.Compact(all)
}

// onDevices is the obstacle for the devices of the chain only.
func onDevices(c chain, o Obstacle) (all []Obstacle) {
	if len(c.devices) == 0 {
		return []Obstacle{o}
	}
	for _, d := range c.devices {
		if o.Device == "" || concerns(o.Device, o.Prefix, d) {
			all = append(all, Obstacle{d, false, o.What})
		}
	}
	return all
}

// sees reports whether a chain sees datagrams that are delivered to this host or sent by it, and would
// not see them if they were forwarded at the ingress. What a device sends runs through its egress chain
// either way.
func sees(c chain) bool {
	switch c.family {
	case unix.NFPROTO_IPV4, unix.NFPROTO_IPV6, unix.NFPROTO_INET:
		return c.hook != hookForward
	case unix.NFPROTO_BRIDGE:
		return c.hook != hookForward
	case unix.NFPROTO_NETDEV:
		return c.hook == hookNetdevIngress
	}
	return false
}

// harmless expressions only load, compare or count: what stands behind them runs if they match.
var harmless = map[string]bool{"meta": true, "payload": true, "cmp": true, "counter": true, "ct": true, "bitwise": true, "lookup": true}

// ipProtocolOffset is where the protocol stands in an IPv4 header.
const ipProtocolOffset = 9

// excludesUDP reports whether the rule cannot do anything to UDP: it compares the protocol with another
// one before it does anything.
func (r *rule) excludesUDP() bool {
	for i, m := range r.matches {
		if !harmless[m.kind] {
			return false
		}
		isProtocol := m.kind == "meta" && m.meta == unix.NFT_META_L4PROTO ||
			m.kind == "payload" && r.family != unix.NFPROTO_IPV6 && m.base == unix.NFT_PAYLOAD_NETWORK_HEADER && m.offset == ipProtocolOffset
		if !isProtocol {
			continue
		}
		if c, ok := r.compared(i); ok && len(c.data) == 1 && c.data[0] != unix.IPPROTO_UDP {
			return true
		}
	}
	return false
}

// device is the only device whose packets the rule may do something to, or how the names of all of them
// begin; "": those of any device. The device may be the one that packets arrive at or that they leave by.
func (r *rule) device(names map[uint32]string) (name string, prefix bool) {
	for i, m := range r.matches {
		if !harmless[m.kind] {
			return "", false
		}
		c, ok := r.compared(i)
		if m.kind != "meta" || !ok {
			continue
		}
		switch m.meta {
		case unix.NFT_META_IIFNAME, unix.NFT_META_OIFNAME:
			name, _, whole := bytes.Cut(c.data, []byte{0})
			return string(name), !whole && len(c.data) < unix.IFNAMSIZ
		case unix.NFT_META_IIF, unix.NFT_META_OIF:
			if len(c.data) == 4 {
				return names[binary.NativeEndian.Uint32(c.data)], false
			}
		}
	}
	return "", false
}

// compared returns what the next expression compares the one of index i with, for equality.
func (r *rule) compared(i int) (match, bool) {
	if i+1 >= len(r.matches) {
		return match{}, false
	}
	next := r.matches[i+1]
	return next, next.kind == "cmp" && next.equal && next.register == r.matches[i].register
}
