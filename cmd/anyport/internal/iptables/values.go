package iptables

import (
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
)

// addresses reads ADDRESS, ADDRESS/LENGTH, ADDRESS/MASK, FIRST-LAST, and lists of them; nil if one is
// none of these, or of the other family.
func addresses(text, family string) (all []ruleset.AddressRange) {
	for _, word := range strings.Split(text, ",") {
		r, ok := address(word)
		if !ok || r.First.Is4() != (family == "ip") {
			return nil
		}
		all = append(all, r)
	}
	return all
}

// address reads an address, a prefix with a length or a netmask, or a range of iprange. What netip accepts beyond
// iptables, zones and IPv4 in IPv6, would silently match something else.
func address(word string) (r ruleset.AddressRange, ok bool) {
	if first, last, isRange := strings.Cut(word, "-"); isRange {
		var errs [2]error
		r.First, errs[0] = netip.ParseAddr(first)
		r.Last, errs[1] = netip.ParseAddr(last)
		return r, errs == [2]error{} && r.First.BitLen() == r.Last.BitLen() && r.First.Zone() == "" && r.Last.Zone() == "" && r.First.Compare(r.Last) <= 0
	}
	base, mask, hasMask := strings.Cut(word, "/")
	ip, err := netip.ParseAddr(base)
	if err != nil || ip.Zone() != "" || ip.Is4In6() {
		return r, false
	}
	length := ip.BitLen()
	if hasMask {
		if length, ok = maskLength(mask, ip); !ok {
			return r, false
		}
	}
	return span(netip.PrefixFrom(ip, length).Masked()), true
}

// maskLength reads 24 and 255.255.255.0, not masks with holes.
func maskLength(text string, ip netip.Addr) (int, bool) {
	if n, err := strconv.Atoi(text); err == nil {
		return n, 0 <= n && n <= ip.BitLen()
	}
	mask, err := netip.ParseAddr(text)
	if err != nil || mask.BitLen() != ip.BitLen() {
		return 0, false
	}
	length, ended := 0, false
	for _, b := range mask.AsSlice() {
		ones := bits.LeadingZeros8(^b)
		if ended && b != 0 || bits.OnesCount8(b) != ones {
			return 0, false
		}
		length += ones
		ended = ended || ones < 8
	}
	return length, true
}

// span is all addresses of a prefix.
func span(p netip.Prefix) ruleset.AddressRange {
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return ruleset.AddressRange{First: p.Addr(), Last: end}
}

// ports reads 80, 80:90, 80-90, :1023, 1024: and lists of them; nil if one is none of these.
func ports(text string) (all []ruleset.Range) {
	for _, word := range strings.Split(text, ",") {
		first, last, isRange := strings.Cut(strings.ReplaceAll(word, "-", ":"), ":")
		if !isRange {
			last = first
		} else if first == "" {
			first = "0"
		}
		if isRange && last == "" {
			last = "65535"
		}
		lo, ok := port(first)
		hi, also := port(last)
		if !ok || !also || lo > hi {
			return nil
		}
		all = append(all, ruleset.Range{First: lo, Last: hi})
	}
	return all
}

// services are the names that rules have for ports, where somebody wrote them by hand: iptables-save
// prints numbers.
var services = map[string]uint32{"ssh": 22, "smtp": 25, "domain": 53, "http": 80, "https": 443}

// port reads a number, or one of the names that iptables-save prints for no option but people write.
func port(word string) (uint32, bool) {
	if n, known := services[word]; known {
		return n, true
	}
	n, err := strconv.ParseUint(word, 10, 16)
	return uint32(n), err == nil
}

// protocols are the names that /etc/protocols has for what rules name.
var protocols = map[string]uint32{"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "icmpv6": 58, "sctp": 132, "dccp": 33, "udplite": 136, "esp": 50, "ah": 51, "gre": 47, "ipv4": 4, "ipv6": 41, "igmp": 2, "ospf": 89, "vrrp": 112, "pim": 103, "ipip": 4}

// protocol reads a number or a name. iptables prints names of /etc/protocols in either case.
func protocol(word string) (uint32, bool) {
	if n, known := protocols[strings.ToLower(word)]; known {
		return n, true
	}
	n, err := strconv.ParseUint(word, 10, 8)
	return uint32(n), err == nil
}

// mark reads VALUE and VALUE/MASK, in hexadecimal, octal or decimal.
func mark(text string) (m ruleset.Mark, ok bool) {
	value, mask, hasMask := strings.Cut(text, "/")
	m.Mask = 1<<32 - 1
	v, err := strconv.ParseUint(value, 0, 32)
	if err != nil {
		return m, false
	}
	m.Value = uint32(v)
	if hasMask {
		v, err = strconv.ParseUint(mask, 0, 32)
		m.Mask = uint32(v)
	}
	return m, err == nil
}
