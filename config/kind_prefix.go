package config

import (
	"fmt"
	"net/netip"
	"strings"

	"anyport/config/habits"
)

// peerPrefix is a prefix of clients or peers: any block, the whole family too.
var peerPrefix = textual(pattern(prefixForm), parsePeerPrefix)

// parsePeerPrefix refuses bits beyond the length instead of dropping them: 10.0.0.5/8 is more
// often a wrong length than a wrong address.
func parsePeerPrefix(value any) (netip.Prefix, error) {
	text, _ := value.(string)
	prefix, err := parsePrefix(text)
	if err != nil {
		return netip.Prefix{}, newRefusal("Prefix", value, "is not a prefix", `write an address such as "192.0.2.7", or a block such as "192.0.2.0/24" or "2001:db8::/32"`)
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, newRefusal("Mapped", value, "is IPv4-mapped", "write "+plain(prefix))
	}
	if prefix != prefix.Masked() {
		fix := habits.Quote(prefix.Masked().String())
		return netip.Prefix{}, refusal{found: show(value) + " has bits set beyond its length", fix: fix,
			cure: fmt.Sprintf("write %s for the block, or %q for the one address", fix, prefix.Addr())}
	}
	return prefix, nil
}

// parsePrefix takes an address without a length as a single host.
func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	addr, err := netip.ParseAddr(text)
	if err == nil && addr.Zone() != "" {
		err = fmt.Errorf("%q has a zone", text)
	}
	return host(addr), err
}

// host is the prefix of one address: /32 or /128.
func host(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }

// plain is how an IPv4-mapped prefix is written without the mapping.
func plain(mapped netip.Prefix) string {
	addr := mapped.Addr().Unmap()
	if mapped.Bits() == 128 {
		return fmt.Sprintf("%q", addr)
	}
	if mapped.Bits() < 96 {
		return "the IPv4 and the IPv6 prefixes apart"
	}
	return fmt.Sprintf("%q", netip.PrefixFrom(addr, mapped.Bits()-96).Masked())
}

// loopback are the blocks that steering.allow_loopback permits.
var loopback = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("::1/128"),
}

// unservable are the blocks that a conn cannot be addressed to, or that the kernel handles
// before it asks SK_LOOKUP.
var unservable = []struct {
	netip.Prefix
	what string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), `"this network"`},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
	{netip.MustParsePrefix("::/128"), "the unspecified address"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// servedPrefix is a prefix that this host may serve. Whether it covers an address, a connected
// subnet or a gateway of the host is checked at the start and at a reload, not here: check must
// give the same answer on every machine.
func servedPrefix(allowLoopback bool) kind[netip.Prefix] {
	return textual(pattern(prefixForm), func(value any) (netip.Prefix, error) {
		prefix, err := parsePeerPrefix(value)
		if err != nil {
			return prefix, err
		}
		if prefix.Bits() == 0 {
			return prefix, newRefusal("Everything", value, "covers every address, including this host's own", habits.EveryPrefix)
		}
		for _, l := range loopback {
			if !allowLoopback && l.Overlaps(prefix) {
				return prefix, newRefusal("", value, fmt.Sprintf("overlaps %s (loopback)", l), "name another prefix, or set allow_loopback = true in [steering]")
			}
		}
		for _, u := range unservable {
			if u.Overlaps(prefix) {
				return prefix, newRefusal("", value, fmt.Sprintf("overlaps %s (%s), which cannot be served", u.Prefix, u.what), "name another prefix")
			}
		}
		return prefix, nil
	})
}
