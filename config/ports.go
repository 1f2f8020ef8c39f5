package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const allPorts = "all"

// portRange reads 80, "80", "1-1023" or "all".
func portRange(value any) (PortRange, error) {
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
		return PortRange{}, fmt.Errorf(`%s is not a port: write an integer from 1 to 65535, a range such as "1-1023", or "all"`, show(value))
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

// takesNothing reports whether the exceptions of r leave no port.
func (r *Route) takesNothing() bool {
	segments := contest([]*Route{r}, r.Protocols[0])
	return !slices.ContainsFunc(segments, func(s segment) bool { return len(s.winners) > 0 })
}
