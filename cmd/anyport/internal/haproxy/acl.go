package haproxy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// criterion is what one acl line, or the braces of a condition, ask of a conn.
type criterion struct {
	keyword string // "src", "dst", "dst_port", "always"; others have a reason
	from    []netip.Prefix
	ports   []config.PortRange
}

// named finds the acl lines of a name. Several are true if one is.
func (r *reader) named(s *settings, name string) (c criterion, lines []*directive, reason string) {
	for _, d := range s.each("acl", name) {
		one, reason := r.criterion(d.words[2:])
		if reason == "" && len(lines) > 0 && one.keyword != c.keyword {
			reason = "acl " + name + " combines " + c.keyword + " and " + one.keyword
		}
		if reason != "" {
			return c, nil, reason
		}
		c = criterion{one.keyword, append(c.from, one.from...), append(c.ports, one.ports...)}
		lines = append(lines, d)
	}
	switch {
	case len(lines) > 0:
		return c, lines, ""
	case name == "TRUE" || name == "WAIT_END":
		return criterion{keyword: "always"}, nil, ""
	case name == "LOCALHOST":
		return criterion{keyword: "src", from: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}, nil, ""
	}
	return c, nil, "acl " + name + " has no equal"
}

// criterion reads "src 10.0.0.0/8", "dst_port 80 443", "src -f FILE".
func (r *reader) criterion(words []string) (criterion, string) {
	if len(words) == 0 {
		return criterion{}, "an empty condition"
	}
	c := criterion{keyword: words[0]}
	if c.keyword == "always_true" {
		return criterion{keyword: "always"}, ""
	}
	if c.keyword != "src" && c.keyword != "dst" && c.keyword != "dst_port" {
		return c, c.keyword + ": anyport decides by addresses and dst ports only"
	}
	values, reason := r.values(words[1:])
	if reason != "" {
		return c, reason
	}
	if c.keyword == "dst_port" {
		c.ports, reason = portValues(values)
		return c, reason
	}
	for _, value := range values {
		p, ok := parseNetwork(value)
		if !ok {
			return c, fmt.Sprintf("%q is not an address", value)
		}
		c.from = append(c.from, p)
	}
	if len(c.from) == 0 {
		return c, c.keyword + " without an address"
	}
	return c, ""
}

// values are the values after the flags of an acl, those of files too.
func (r *reader) values(words []string) (values []string, reason string) {
	for i := 0; i < len(words); i++ {
		switch word := words[i]; {
		case word == "-f" && i+1 < len(words):
			i++
			lines, reason := r.patterns(words[i])
			if reason != "" {
				return nil, reason
			}
			values = append(values, lines...)
		case word == "-i" || word == "-n" || word == "--":
		case word == "-m" && i+1 < len(words) && (words[i+1] == "ip" || words[i+1] == "int"):
			i++
		case strings.HasPrefix(word, "-"):
			return nil, word + " of an acl has no equal"
		default:
			values = append(values, word)
		}
	}
	return values, ""
}

// patterns are the lines of a file of addresses.
func (r *reader) patterns(path string) ([]string, string) {
	if r.options.ReadFile == nil {
		return nil, "the file " + path + " is not read"
	}
	text, err := r.options.ReadFile(path)
	if err != nil {
		return nil, fmt.Sprintf("cannot read its list: %v; run anyport import where it can", err)
	}
	var values []string
	for _, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			values = append(values, line)
		}
	}
	return values, ""
}

// parseNetwork reads "10.0.0.1", "10.0.0.0/8" and "10.0.0.0/255.0.0.0".
func parseNetwork(text string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return proxyconf.Host(addr), true
	}
	address, mask, _ := strings.Cut(text, "/")
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() {
		bits, ok := maskBits(m)
		if !ok {
			return netip.Prefix{}, false
		}
		text = address + "/" + strconv.Itoa(bits)
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err == nil && !p.Addr().Is4In6()
}

// maskBits is the length of a netmask without holes.
func maskBits(mask netip.Addr) (int, bool) {
	b := mask.As4()
	bits := strings.TrimRight(fmt.Sprintf("%08b%08b%08b%08b", b[0], b[1], b[2], b[3]), "0")
	return len(bits), !strings.Contains(bits, "0")
}

// portValues reads "80", "1000:2000" and "ge 1024".
func portValues(values []string) (ports []config.PortRange, reason string) {
	const first, last = 1, 65535
	operator := "eq"
	for _, value := range values {
		switch value {
		case "eq", "ge", "gt", "le", "lt":
			operator = value
			continue
		}
		lo, hi, isRange := strings.Cut(value, ":")
		if !isRange {
			hi = lo
		}
		a, errA := strconv.Atoi(lo)
		b, errB := strconv.Atoi(hi)
		if errA != nil || errB != nil {
			return nil, fmt.Sprintf("%q is not a port", value)
		}
		switch operator {
		case "ge":
			b = last
		case "gt":
			a, b = a+1, last
		case "le":
			a = first
		case "lt":
			a, b = first, b-1
		}
		if a, b = max(a, first), min(b, last); a <= b {
			ports = append(ports, config.PortRange{First: uint16(a), Last: uint16(b)})
		}
	}
	if len(ports) == 0 {
		return nil, "dst_port without a port"
	}
	return ports, ""
}
