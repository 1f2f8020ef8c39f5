package nftables

import (
	"anyport/cmd/anyport/internal/ruleset"
)

var mechanisms = map[verb]ruleset.Mechanism{tproxy: ruleset.TProxy, redirect: ruleset.Redirect, dnat: ruleset.DNAT}

// target translates tproxy, redirect and dnat. After tproxy the rule goes on, if a socket has taken the
// packet; the other two end it.
func (p *part) target(s statement) {
	if len(p.targets) > 0 {
		p.targets = nil // the last one has the packet
	}
	p.family(s.family)
	var ok bool
	p.targets, ok = p.destinations(s)
	if !ok {
		p.targets = []branch{{to: ruleset.Target{Mechanism: mechanisms[s.verb]}}}
	}
	if s.verb != tproxy || s.reason != "" { // that of iptables ends a rule too
		p.done = true
		p.intercept(false)
	}
}

// intercept writes a rule for each branch.
func (p *part) intercept(continues bool) {
	if p.mark != nil && p.asksMark && len(p.targets) > 1 {
		p.unclear = append(p.unclear, "it asks for a mark, changes it, and asks more")
	}
	for _, b := range p.targets {
		p.emit(ruleset.Rule{Action: ruleset.Intercept, To: b.to, Continues: continues, Conditions: b.conditions})
	}
}

// destinations are where s sends packets to. If that is not understood, it adds the reason.
func (p *part) destinations(s statement) ([]branch, bool) {
	if s.reason != "" {
		p.unclear = append(p.unclear, s.reason)
		return nil, false
	}
	mapped := s.address
	if mapped == nil || mapped.kind != lookup {
		mapped = s.port
	}
	if mapped == nil || mapped.kind != lookup {
		to, ok := p.destination(s.verb, s.address, s.port)
		return []branch{{to: to}}, ok
	}
	choices, ok := p.choices(mapped.args[0], mapped.args[1])
	if !ok {
		return nil, false
	}
	var branches []branch
	for _, c := range choices {
		address, port := s.address, c.data
		if mapped == s.address {
			address, port = parted(c.data, s.port)
		}
		to, ok := p.destination(s.verb, address, port)
		if !ok {
			return nil, false
		}
		branches = append(branches, branch{c.conditions, to})
	}
	return branches, true
}

// parted is an element "address" or "address . port" of a map.
func parted(e, port *expression) (*expression, *expression) {
	if e != nil && e.kind == concat && len(e.args) == 2 {
		return e.args[0], e.args[1]
	}
	return e, port
}

// destination is one place that packets are sent to.
func (p *part) destination(v verb, address, port *expression) (ruleset.Target, bool) {
	to := ruleset.Target{Mechanism: mechanisms[v]}
	ok := true
	if address != nil {
		ranges, is := addresses(address)
		if ok = is; ok {
			to.Address = ranges.First
			if ranges.First != ranges.Last {
				to.Last = ranges.Last
			}
		}
	}
	if port != nil && ok {
		to.Ports, ok = numbers(ruleset.DestinationPort, port)
	}
	switch {
	case !ok:
		p.unclear = append(p.unclear, "where it sends packets to is not understood")
	case v == dnat && address == nil:
		p.unclear, ok = append(p.unclear, "dnat to a port of whatever address a packet has: no origin can be named"), false
	case to.Ports.Last > 65535 || port != nil && to.Ports.First == 0:
		p.unclear, ok = append(p.unclear, "its port is not one"), false
	case v == tproxy && to.Last.IsValid():
		p.unclear, ok = append(p.unclear, "tproxy to more than one address"), false
	}
	return to, ok
}
