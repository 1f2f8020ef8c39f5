package nftables

import (
	"net/netip"
	"strconv"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
)

// atom is k with one value.
func (k key) atom(e *expression) (ruleset.Atom, bool) {
	a := ruleset.Atom{Field: k.field, Mask: k.mask}
	if e == nil || e.kind != literal {
		return a, false
	}
	switch k.field {
	case ruleset.Source, ruleset.Destination:
		r, ok := addresses(e)
		a.Addresses = []ruleset.AddressRange{r}
		return a, ok
	case ruleset.Interface:
		a.Names = []string{e.text}
		return a, isInterface(e.text)
	case ruleset.ConnState:
		a.Names = strings.Split(e.text, ",")
		for _, name := range a.Names {
			if !connStates[name] {
				return a, false
			}
		}
		return a, true
	case ruleset.LocalDestination:
		return a, e.text == "local"
	case ruleset.TransparentSocket:
		return a, e.text == "1"
	}
	r, ok := numbers(k.field, e)
	a.Numbers = []ruleset.Range{r}
	return a, ok
}

// connStates are the words that nft prints for the bits of ct state. Others, as "snat" of ct status, are not states.
var connStates = setOf("new established related invalid untracked")

// isInterface reports whether name stands for itself in package ruleset too, where + is as * is. A number
// is an interface without a name now, and a backslash makes a * ordinary.
func isInterface(name string) bool {
	_, err := strconv.Atoi(name)
	return name != "" && err != nil && !strings.HasSuffix(name, "+") && !strings.Contains(name, `\`)
}

// addresses reads an address, a prefix or a range.
func addresses(e *expression) (ruleset.AddressRange, bool) {
	if e.kind != literal {
		return ruleset.AddressRange{}, false
	}
	if prefix, err := netip.ParsePrefix(e.text); err == nil {
		return ruleset.AddressRange{First: prefix.Masked().Addr(), Last: lastOf(prefix.Masked())}, true
	}
	first, last, is := strings.Cut(e.text, "-")
	if !is {
		last = first
	}
	from, err := netip.ParseAddr(first)
	to, bad := netip.ParseAddr(last)
	ok := err == nil && bad == nil && from.BitLen() == to.BitLen() && from.Compare(to) <= 0 && from.Zone() == "" && to.Zone() == ""
	return ruleset.AddressRange{First: from, Last: to}, ok
}

// lastOf is the last address of a prefix.
func lastOf(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for i := prefix.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// numbers reads a number, a name or a range.
func numbers(field ruleset.Field, e *expression) (ruleset.Range, bool) {
	if e.kind != literal {
		return ruleset.Range{}, false
	}
	if n, known := number(field, e.text); known {
		return ruleset.Range{First: n, Last: n}, true
	}
	first, last, is := strings.Cut(e.text, "-")
	from, ok := number(field, first)
	to, known := number(field, last)
	return ruleset.Range{First: from, Last: to}, is && ok && known && from <= to
}

// number reads one number, in any base that nft prints, or a name. Families have the numbers of AF_INET
// and AF_INET6.
func number(field ruleset.Field, text string) (uint32, bool) {
	if n, err := strconv.ParseUint(text, 0, 32); err == nil {
		if field == ruleset.Family {
			return map[uint64]uint32{2: 4, 10: 6}[n], n == 2 || n == 10
		}
		return uint32(n), n <= mostOf(field)
	}
	var names map[string]uint32
	switch field {
	case ruleset.Family:
		names = families
	case ruleset.Protocol:
		names = protocolNumbers
	case ruleset.SourcePort, ruleset.DestinationPort:
		names = services
	}
	n, known := names[text]
	return n, known
}

// mostOf is the greatest value of a field.
func mostOf(field ruleset.Field) uint64 {
	switch field {
	case ruleset.Protocol:
		return 255
	case ruleset.SourcePort, ruleset.DestinationPort:
		return 65535
	}
	return 1<<32 - 1
}

// families are the words of "meta nfproto", and of "meta protocol", which has those of Ethernet.
var families = map[string]uint32{"ipv4": 4, "ipv6": 6, "ip": 4, "ip6": 6}

// services are the names that rulesets commonly have; nft prints numbers unless asked.
var services = map[string]uint32{
	"ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69, "http": 80, "pop3": 110,
	"ntp": 123, "imap2": 143, "snmp": 161, "bgp": 179, "https": 443, "submission": 587, "ldap": 389, "imaps": 993, "pop3s": 995,
}

// compared is k less or greater than a value.
func compared(k key, sign string, e *expression) (ruleset.Atom, bool) {
	a, ok := k.atom(e)
	if !ok || len(a.Numbers) != 1 || a.Numbers[0].First != a.Numbers[0].Last || k.field == ruleset.Family {
		return a, false
	}
	n := a.Numbers[0].First
	r := ruleset.Range{First: 0, Last: uint32(mostOf(k.field))}
	switch sign {
	case "<=":
		r.Last = n
	case ">=":
		r.First = n
	case "<":
		r.Last = n - 1
		ok = n > 0
	case ">":
		r.First = n + 1
		ok = n < r.Last
	default:
		ok = false
	}
	a.Numbers = []ruleset.Range{r}
	return a, ok
}
