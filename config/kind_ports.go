package config

import (
	"slices"
	"strconv"
	"strings"
)

// allPorts is how files write 1-65535.
const allPorts = "all"

// portRange is 80, "80", "1-1023" or "all".
var portRange = kind[PortRange]{parsePortRange, func(r PortRange) string {
	if r.First == r.Last {
		return r.String()
	}
	return strconv.Quote(r.String())
}, either(between(1, 65535), pattern(allPorts+"|"+portsForm))}

// parsePortRange does not take port 0, which TCP and UDP reserve (RFC 6335, section 6).
func parsePortRange(value any) (PortRange, error) {
	ports := PortRange{1, 65535}
	ok := false
	switch v := value.(type) {
	case int64:
		ports = PortRange{uint16(v), uint16(v)}
		ok = 0 < v && v <= 65535
	case string:
		ok = v == allPorts
		if !ok {
			ports, ok = ParsePorts(v)
		}
	}
	if !ok {
		return PortRange{}, newRefusal("Port", value, "is not a port or range", `write an integer from 1 to 65535, a range such as "1-1023", or "all"`)
	}
	return ports, nil
}

// ParsePorts reads "80" or "3000-4000".
func ParsePorts(text string) (PortRange, bool) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	lo, errLo := strconv.ParseUint(first, 10, 16)
	hi, errHi := strconv.ParseUint(last, 10, 16)
	ok := errLo == nil && errHi == nil && 0 < lo && lo <= hi
	return PortRange{uint16(lo), uint16(hi)}, ok
}

// exceptReflectors is the element of except_ports that stands for the UDP ports of all
// known reflectors.
const exceptReflectors = "reflectors"

// An exception is one element of except_ports.
type exception struct {
	ports      PortRange
	reflectors bool
}

// exceptedPorts is a portRange, or "reflectors".
var exceptedPorts = kind[exception]{parseException, func(e exception) string {
	if e.reflectors {
		return strconv.Quote(exceptReflectors)
	}
	return portRange.print(e.ports)
}, either(between(1, 65535), pattern(allPorts+"|"+exceptReflectors+"|"+portsForm))}

// exceptions are the elements of except_ports.
func (r *Route) exceptions() (all []exception) {
	for _, ports := range r.ExceptPorts {
		all = append(all, exception{ports: ports})
	}
	if r.ExceptReflectors {
		all = append(all, exception{reflectors: true})
	}
	return all
}

// readExceptPorts splits the one list of the file into the two fields of r.
func readExceptPorts(t *table, r *Route) {
	var all []exception
	setOneOrList(t, "except_ports", &all, exceptedPorts.parse)
	for _, e := range all {
		if e.reflectors {
			r.ExceptReflectors = true
		} else {
			r.ExceptPorts = append(r.ExceptPorts, e.ports)
		}
	}
}

// parseException adds its own word to what a range may be.
func parseException(value any) (exception, error) {
	if value == any(exceptReflectors) {
		return exception{reflectors: true}, nil
	}
	ports, err := parsePortRange(value)
	return exception{ports: ports}, withAlternative(err, `; or "reflectors", for the UDP ports of known reflectors`)
}

// Excepted returns the ports of protocol that r leaves to other routes.
func (r *Route) Excepted(protocol Protocol) []PortRange {
	if protocol == UDP && r.ExceptReflectors {
		return slices.Concat(r.ExceptPorts, reflectorPorts)
	}
	return r.ExceptPorts
}

// narrowest is the width of the narrowest range by which r takes port of protocol, or 0
// if its ports do not hold it.
func (r *Route) narrowest(protocol Protocol, port uint16) int {
	for _, except := range r.Excepted(protocol) {
		if except.Contains(port) {
			return 0
		}
	}
	width := 0
	for _, ports := range r.Ports {
		if ports.Contains(port) && (width == 0 || ports.Width() < width) {
			width = ports.Width()
		}
	}
	return width
}

// takesNothing reports whether the exceptions of r leave no port of protocol.
func (r *Route) takesNothing(protocol Protocol) bool {
	segments := portWinners([]*Route{r}, protocol)
	return !slices.ContainsFunc(segments, func(s segment) bool { return len(s.winners) > 0 })
}
