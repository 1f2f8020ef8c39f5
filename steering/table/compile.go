package table

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"anyport/config"
)

// Compile lays the routes of cfg over each other. Prefixes whose port maps are the
// same share one copy, so that a million of them cost little more than their trie.
// An error is a fault that config.Load reports better; it is checked again because a table
// with such a fault could let packets pass that a route denies.
func Compile(cfg *config.Config) (*Table, error) {
	c := compiler{table: Empty(), policies: make(map[string]Policy), knockGroups: make(map[string]uint32), taken: make(map[uint32]takenPorts)}
	if err := c.bind(cfg); err != nil {
		return nil, err
	}
	c.segment([]Interval{{First: 0, Binding: 0}}) // what no prefix covers: all unmatched
	if err := c.cover(claims(cfg.Routes, c.egress, c.doorbell)); err != nil {
		return nil, err
	}
	return c.table, nil
}

// compiler is the state of one Compile, of one goroutine. Prefixes come to it from the
// shortest to the longest, so that the policy around a prefix is known before the prefix.
type compiler struct {
	table    *Table
	taken    map[uint32]takenPorts // by binding
	egress   uint32                // the binding of egress prefixes
	doorbell uint32                // the binding of the port for authenticated knocks

	knockGroups map[string]uint32 // by their bindings
	policies    map[string]Policy // by covering policy and own routes: see key
	scratch     []byte
}

// takenPorts is the ports that a binding takes of its prefixes.
type takenPorts struct{ tcp, udp []span }

// claim is one prefix of one route, or an egress prefix.
type claim struct {
	prefix  netip.Prefix
	binding uint32
}

// claims returns every prefix of every route, each prefix after those that cover it.
func claims(routes []*config.Route, egress, doorbell uint32) []claim {
	var all []claim
	for i, r := range routes {
		for _, p := range r.Prefixes {
			all = append(all, claim{p.Masked(), uint32(i + 1)})
			if r.Knock.SPA() {
				all = append(all, claim{p.Masked(), doorbell})
			}
		}
		for _, p := range r.EgressPrefixes {
			all = append(all, claim{p.Masked(), egress})
		}
	}
	slices.SortFunc(all, func(a, b claim) int {
		if order := a.prefix.Compare(b.prefix); order != 0 {
			return order
		}
		return cmp.Compare(a.binding, b.binding)
	})
	return all
}

// bind makes the bindings, and what each takes.
func (c *compiler) bind(cfg *config.Config) error {
	c.table.bindings = []Binding{{Rules: Rules{Verdict: VerdictOf(cfg.Steering.Unmatched)}}}
	for _, r := range cfg.Routes {
		if err := checkPrefixes(r); err != nil {
			return fmt.Errorf("route %q: %w", r.Name, err)
		}
		c.table.bindings = append(c.table.bindings, Binding{r, newRules(r), r.Peers()})
	}
	c.table.routeCount = len(cfg.Routes)
	for i, r := range cfg.Routes {
		var t takenPorts
		if r.Takes(config.TCP) {
			t.tcp = spans(r, config.TCP, uint32(i+1))
		}
		if r.Takes(config.UDP) {
			t.udp = spans(r, config.UDP, uint32(i+1))
		}
		c.taken[uint32(i+1)] = t
	}
	c.bindEgress(cfg)
	c.bindDoorbell(cfg)
	return nil
}

// bindEgress binds the egress prefixes of all routes: whatever comes to them by UDP is
// for a flow to know.
func (c *compiler) bindEgress(cfg *config.Config) {
	if !slices.ContainsFunc(cfg.Routes, func(r *config.Route) bool { return len(r.EgressPrefixes) > 0 }) {
		return
	}
	c.egress = uint32(len(c.table.bindings))
	c.table.bindings = append(c.table.bindings, Binding{Rules: Rules{Verdict: Steer}})
	all := config.PortRange{First: 1, Last: 65535}
	c.taken[c.egress] = takenPorts{udp: []span{{all, all.Width(), c.egress}}}
}

// VerdictOf is the verdict that an action of the file asks for.
func VerdictOf(a config.Action) Verdict {
	return [...]Verdict{config.Refuse: Refuse, config.Drop: Drop, config.Pass: Pass, config.Forward: Steer, config.Socket: Socket}[a]
}

// checkPrefixes refuses what no packet's address can match: in a deny list, such a
// prefix would let everybody in.
func checkPrefixes(r *config.Route) error {
	for _, p := range slices.Concat(r.Prefixes, r.EgressPrefixes, r.Allow, r.Deny, r.AcceptProxy) {
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("%v is not an IPv4 or IPv6 prefix; write an IPv4-mapped one as IPv4", p)
		}
	}
	return nil
}

// cover gives every distinct prefix its policy.
func (c *compiler) cover(all []claim) error {
	type level struct {
		prefix netip.Prefix
		policy Policy
	}
	top := Policy{TCP: Segment{0, 1}, UDP: Segment{0, 1}}
	var stack []level // the prefixes around the current one, outermost first
	for len(all) > 0 {
		own := sameAsFirst(all)
		prefix := own[0].prefix
		for len(stack) > 0 && !stack[len(stack)-1].prefix.Overlaps(prefix) {
			stack = stack[:len(stack)-1]
		}
		around := top
		if len(stack) > 0 {
			around = stack[len(stack)-1].policy
		}
		p, err := c.policy(around, own)
		if err != nil {
			return fmt.Errorf("prefix %s: %w", prefix, err)
		}
		c.table.prefixes.Insert(prefix, p)
		stack = append(stack, level{prefix, p})
		all = all[len(own):]
	}
	return nil
}

// sameAsFirst returns the claims at the head of all that are on one prefix.
func sameAsFirst(all []claim) []claim {
	n := 1
	for n < len(all) && all[n].prefix == all[0].prefix {
		n++
	}
	return all[:n]
}

// policy lays the routes of own over the policy around them, once for each
// combination of the two.
func (c *compiler) policy(around Policy, own []claim) (Policy, error) {
	key := c.key(around, own)
	if p, ok := c.policies[string(key)]; ok {
		return p, nil
	}
	tcp, err := c.overlay(around.TCP, own, config.TCP)
	if err != nil {
		return Policy{}, err
	}
	udp, err := c.overlay(around.UDP, own, config.UDP)
	if err != nil {
		return Policy{}, err
	}
	p := Policy{tcp, udp, c.knockGroup(around.Knocks, own)}
	c.policies[string(key)] = p
	return p, nil
}

// key names a combination. Segments are never rewritten, so their offsets will do.
func (c *compiler) key(around Policy, own []claim) []byte {
	k := binary.LittleEndian.AppendUint32(c.scratch[:0], around.TCP.Offset)
	k = binary.LittleEndian.AppendUint32(k, around.UDP.Offset)
	k = binary.LittleEndian.AppendUint32(k, around.Knocks)
	for _, o := range own {
		k = binary.LittleEndian.AppendUint32(k, o.binding)
	}
	c.scratch = k
	return k
}

// overlay returns the segment of protocol: around's where no route of own takes it.
func (c *compiler) overlay(around Segment, own []claim, protocol config.Protocol) (Segment, error) {
	var mine []span
	for _, o := range own {
		t := c.taken[o.binding]
		if protocol == config.UDP {
			mine = append(mine, t.udp...)
		} else {
			mine = append(mine, t.tcp...)
		}
	}
	if len(mine) == 0 {
		return around, nil
	}
	list, err := overlay(c.table.intervals[around.Offset:around.Offset+around.Count], mine)
	if err != nil {
		return Segment{}, fmt.Errorf("%v: %w", protocol, err)
	}
	return c.segment(list), nil
}

// segment appends list to the table.
func (c *compiler) segment(list []Interval) Segment {
	s := Segment{uint32(len(c.table.intervals)), uint32(len(list))}
	c.table.intervals = append(c.table.intervals, list...)
	return s
}
