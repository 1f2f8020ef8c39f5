package admin

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// FlowFilter selects live conns and flows: those that match every field that is set.
type FlowFilter struct {
	IDs                 []string // one of them
	Route               string
	Client, Dst, Origin Where
	Protocol            string // "tcp" or "udp"
	State               string // one of FlowStates
}

// FlowStates are the states of a live conn or flow.
var FlowStates = []string{"naming", "waiting", "connecting", "open", "half_closed", "unanswered", "parked"}

// FlowQuery asks for live conns and flows.
type FlowQuery struct {
	FlowFilter
	Sort  string // one of FlowSorts; "": in no particular order
	Limit int    // the most flows in the answer; 0: all, or MostSorted if they are sorted
}

// FlowSorts are the orders that an anyport sorts in: the oldest, the busiest (by the bytes that they have
// carried) or the idlest first.
var FlowSorts = []string{"age", "bytes", "idle"}

// MostSorted is how many flows a sorted answer has at most, so that their choice takes no more memory than that.
const MostSorted = 10000

// Where is a set of addresses with a port: those of a prefix, and those with one port. The zero value is all.
type Where struct {
	Prefix netip.Prefix // the zero value: all addresses
	Port   uint16       // 0: all ports
}

// ParseWhere reads an address, a prefix, ADDRESS:PORT or :PORT. "" is all.
func ParseWhere(text string) (w Where, err error) {
	if text == "" {
		return w, nil
	}
	if port, found := strings.CutPrefix(text, ":"); found && !strings.Contains(port, ":") {
		w.Port, err = parsePort(port)
		return w, err
	}
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return Where{Prefix: prefix.Masked()}, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return Where{Prefix: hostPrefix(addr)}, nil
	}
	if at, err := netip.ParseAddrPort(text); err == nil {
		return Where{Prefix: hostPrefix(at.Addr()), Port: at.Port()}, nil
	}
	return w, fmt.Errorf("%q is not an address, a prefix, ADDRESS:PORT or :PORT", text)
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", text)
	}
	return uint16(n), nil
}

// hostPrefix is the prefix of one address. A zone is left out: no prefix has one.
func hostPrefix(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	return netip.PrefixFrom(addr, addr.BitLen())
}

// Has reports whether an address and port is in the set.
func (w Where) Has(at netip.AddrPort) bool {
	return (w.Port == 0 || w.Port == at.Port()) &&
		(!w.Prefix.IsValid() || w.Prefix.Contains(at.Addr().Unmap().WithZone("")))
}

// String is what ParseWhere reads.
func (w Where) String() string {
	switch {
	case w.Port == 0 && !w.Prefix.IsValid():
		return ""
	case !w.Prefix.IsValid():
		return fmt.Sprintf(":%d", w.Port)
	case w.Port != 0:
		return netip.AddrPortFrom(w.Prefix.Addr(), w.Port).String()
	case w.Prefix.IsSingleIP():
		return w.Prefix.Addr().String()
	}
	return w.Prefix.String()
}

// Empty reports whether the filter selects all.
func (f FlowFilter) Empty() bool { return len(f.values()) == 0 }

// String is for the log.
func (f FlowFilter) String() string {
	var parts []string
	for key, values := range f.values() {
		parts = append(parts, key+"="+strings.Join(values, ","))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// values are the parameters of a request with this filter: those that are set.
func (f FlowFilter) values() url.Values {
	v := url.Values{}
	for key, value := range map[string]string{
		"route": f.Route, "client": f.Client.String(), "dst": f.Dst.String(), "origin": f.Origin.String(),
		"protocol": f.Protocol, "state": f.State,
	} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if len(f.IDs) > 0 {
		v["id"] = f.IDs
	}
	return v
}

// values are the parameters of a request with this query.
func (q FlowQuery) values() url.Values {
	v := q.FlowFilter.values()
	if q.Sort != "" {
		v.Set("sort", q.Sort)
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// ParseFlowFilter reads the parameters of a request.
func ParseFlowFilter(v url.Values) (f FlowFilter, err error) {
	f = FlowFilter{IDs: v["id"], Route: v.Get("route"), Protocol: v.Get("protocol"), State: v.Get("state")}
	for key, where := range map[string]*Where{"client": &f.Client, "dst": &f.Dst, "origin": &f.Origin} {
		parsed, wrong := ParseWhere(v.Get(key))
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", key, wrong))
		}
		*where = parsed
	}
	return f, errors.Join(err, oneOf("protocol", f.Protocol, []string{"tcp", "udp"}), oneOf("state", f.State, FlowStates))
}

// ParseFlowQuery reads the parameters of a request.
func ParseFlowQuery(v url.Values) (q FlowQuery, err error) {
	if q.FlowFilter, err = ParseFlowFilter(v); err != nil {
		return q, err
	}
	limit := v.Get("limit")
	if top := v.Get("top"); top != "" { // how the limit was called when there was one order
		limit, q.Sort = top, "bytes"
	}
	if text := v.Get("sort"); text != "" {
		q.Sort = text
	}
	if q.Sort != "" {
		q.Limit = MostSorted
	}
	if limit != "" {
		most := 1<<31 - 1
		if q.Sort != "" {
			most = MostSorted
		}
		if q.Limit, err = strconv.Atoi(limit); err != nil || q.Limit < 1 || q.Limit > most {
			return q, fmt.Errorf("limit: %q is not a number from 1 to %d", limit, most)
		}
	}
	return q, oneOf("sort", q.Sort, FlowSorts)
}

// oneOf refuses a value that is not in a list; "" is none.
func oneOf(key, value string, list []string) error {
	if value == "" || slices.Contains(list, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is not one of %s", key, value, strings.Join(list, ", "))
}
