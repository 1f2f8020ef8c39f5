package habits

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// routeHeader is the header of a route with the name that a foreign header has.
func routeHeader(match []string) string {
	if name := Slug(match[2]); name != "" {
		return "[route." + name + "]"
	}
	return ""
}

// comment is a line's comment as TOML writes it.
func comment(match []string) string {
	return "# " + strings.TrimSpace(strings.TrimLeft(strings.TrimSuffix(strings.TrimSpace(match[1]), "*/"), "/*;-! "))
}

// straight puts a word between quotes that TOML knows.
func straight(match []string) string { return Quote(strings.Trim(match[1], "“”„‘’«»")) }

// plainSpaces puts plain ones for the blanks that look like them.
func plainSpaces(match []string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' {
			return ' '
		}
		return r
	}, match[1]))
}

// lower is as, in lower case.
func lower(template string) func([]string) string {
	return func(match []string) string { return strings.ToLower(as(template)(match)) }
}

// inQuotes replaces a pair of different quotes by one of the same.
func inQuotes(match []string) string { return Quote(strings.Trim(match[1], `"'`)) }

// literal is a string in which a backslash is not an escape: paths of Windows.
func literal(match []string) string {
	return "'" + strings.ReplaceAll(strings.Trim(match[1], `"`), "'", "") + "'"
}

// commas stand between the strings of a list.
func commas(match []string) string { return strings.Join(strings.Fields(match[1]), ", ") }

// pair makes a line of a key and a value, as other languages tie them.
func pair(match []string) string {
	return Snake(match[2]) + " = " + toTOML(match[3])
}

// bare is a value that was written without quotes.
func bare(match []string) string { return toTOML(match[1]) }

// toTOML is a value with the quotes that it needs.
func toTOML(s string) string {
	if b, ok := booleans[strings.ToLower(s)]; ok {
		return b
	}
	if number := strings.TrimLeft(s, "0"); number != s && fitInto(number, OneValue, isInteger) != "" {
		return number
	}
	if fitInto(s, OneValue, func(any) bool { return true }) != "" {
		return s
	}
	if strings.HasPrefix(s, "[") && fitInto(s, OneValue, func(any) bool { return true }) == "" {
		return bareList([]string{s, s})
	}
	return Quote(s)
}

// booleans are the words that other programs have for true and false.
var booleans = map[string]string{
	"true": "true", "yes": "true", "on": "true", "enabled": "true",
	"false": "false", "no": "false", "off": "false", "disabled": "false",
}

// isInteger accepts what the library makes of a TOML integer.
func isInteger(value any) bool {
	_, is := value.(int64)
	return is
}

// bareList is a list whose elements lack quotes.
func bareList(match []string) string {
	inside := strings.Trim(match[1], "[](){} ")
	parts := separators().Split(inside, -1)
	if strings.Contains(inside, ",") {
		parts = strings.Split(inside, ",")
	}
	return "[" + listOf(parts) + "]"
}

// days makes hours of days and weeks: a Go duration has no longer unit.
func days(match []string) string {
	n, err := strconv.Atoi(match[1])
	if err != nil {
		return ""
	}
	if strings.EqualFold(match[2][:1], "w") {
		n *= 7
	}
	return fmt.Sprintf(`"%dh"`, 24*n)
}

// byteRate spells a rate as a file does: "10MiB/s".
func byteRate(match []string) string {
	return fmt.Sprintf(`"%s%s%sB/s"`, match[1], strings.ToUpper(match[2]), strings.ToLower(match[3]))
}

// bitRate is a rate in bits a second, in bytes.
func bitRate(match []string) string {
	n, err := strconv.Atoi(match[1])
	smaller := map[string]string{"k": "", "m": "K", "g": "M"}
	if err != nil || n > 1e9 {
		return ""
	}
	return fmt.Sprintf(`"%d%sB/s"`, n*1000/8, smaller[strings.ToLower(match[2])])
}

// servicePort is the port of a service that goes by name.
func servicePort(match []string) string {
	for _, network := range []string{"tcp", "udp"} {
		if port, err := net.LookupPort(network, strings.ToLower(match[1])); err == nil {
			return strconv.Itoa(port)
		}
	}
	return ""
}

// netmask is a prefix whose length was written as a mask, or as a mask's complement.
func netmask(match []string) string {
	addr, err := netip.ParseAddr(match[1])
	mask, maskErr := netip.ParseAddr(match[2])
	if err != nil || maskErr != nil || !addr.Is4() || !mask.Is4() {
		return ""
	}
	bytes := mask.As4()
	ones, size := net.IPMask(bytes[:]).Size()
	if size == 0 {
		for i := range bytes {
			bytes[i] = ^bytes[i]
		}
		if ones, size = net.IPMask(bytes[:]).Size(); size == 0 {
			return ""
		}
	}
	return Quote(netip.PrefixFrom(addr, ones).Masked().String())
}

// mostBlocks is the number of prefixes that a range of addresses may become: a longer list would
// not help anybody.
const mostBlocks = 16

// blocks are the prefixes that a range of addresses consists of.
func blocks(match []string) string {
	first, err := netip.ParseAddr(match[1])
	last := lastOf(match[1], match[2])
	if err != nil || !last.IsValid() || first.BitLen() != last.BitLen() || last.Less(first) {
		return ""
	}
	var all []string
	for len(all) <= mostBlocks {
		block := widest(first, last)
		all = append(all, Quote(strings.TrimSuffix(block.String(), fmt.Sprintf("/%d", first.BitLen()))))
		end := lastAddr(block)
		if end == last {
			return strings.Join(all, ", ")
		}
		first = end.Next()
	}
	return ""
}

// lastOf is the end of a range, which may be written as its last part alone.
func lastOf(first, last string) netip.Addr {
	if addr, err := netip.ParseAddr(last); err == nil {
		return addr
	}
	cut := strings.LastIndexAny(first, ".:")
	addr, _ := netip.ParseAddr(first[:cut+1] + last)
	return addr
}

// widest is the largest prefix that begins at first and does not go beyond last.
func widest(first, last netip.Addr) netip.Prefix {
	for bits := range first.BitLen() {
		block := netip.PrefixFrom(first, bits)
		if block.Masked() == block && !last.Less(lastAddr(block)) {
			return block
		}
	}
	return netip.PrefixFrom(first, first.BitLen())
}

// lastAddr is the highest address of p.
func lastAddr(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for i := p.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}
