package importer

import (
	"fmt"
	"net/netip"
	"slices"

	"anyport/cmd/anyport/internal/ruleset"
	"anyport/config"
)

// compiler is the state of one import, on one goroutine. Its maps by rule are filled by the walks, and read when the
// routes and the report are written. Verify makes another one, of which it uses only what it says about the rules.
type compiler struct {
	options  Options
	rules    *ruleset.Ruleset
	walker   *ruleset.Walker
	chains   chainOf
	order    map[*ruleset.Rule]int      // position in the input
	clients  map[string][]labelled      // by what cells have as clients
	deniers  map[string][]*ruleset.Rule // the rules that deny them
	left     map[*ruleset.Rule][]string
	imported map[*ruleset.Rule]bool // became routes, in part at least
	pending  []func()               // notes of rules that are left, for one class of dsts
	keeps    map[*ruleset.Rule]bool // not understood, and at work before the routes
	fields   *fields
	routed   elsewhere
	families [2]*family // IPv4, IPv6
	arriving []string   // the interfaces that packets are walked for
	steered  map[string]bool
	walks    int

	outside      map[*ruleset.Rule]bool // they take dsts for which no import was asked, too
	outsideWalks int
}

// family is the packets of one address family: classes of dsts, each with its ports.
type family struct {
	is4          bool
	destinations []class[netip.Addr]
	ports        []portMap // by class of dsts
}

// portMap is the cells of TCP and UDP of one class of dsts, as sorted spans without gaps.
type portMap [2][]portCell

// portCell is a range of ports and what becomes of them.
type portCell struct {
	span[uint16]
	cell
}

// protocols are the indexes of a portMap.
var protocols = [2]config.Protocol{config.TCP, config.UDP}

// mostWalks bounds the time of an import: walks of one packet, each of microseconds.
const mostWalks = 4 << 20

// newCompiler prepares walks. It changes s: see ruleset.NewWalker.
func newCompiler(s *ruleset.Ruleset, options Options) *compiler {
	c := &compiler{
		options: options, walker: ruleset.NewWalker(s), rules: s, fields: fieldsOf(s, netip.Addr{}), routed: elsewhereOf(options.Main, options.Local),
		chains: chainOf{}, order: map[*ruleset.Rule]int{},
	}
	for _, chain := range s.Chains {
		for _, r := range chain.Rules {
			c.chains[r] = chain
			c.order[r] = len(c.order)
		}
	}
	return c
}

// compile walks all kinds of packets. Where the rules take packets of some interfaces only, it does
// so again for these: anyport has no interfaces, so what arrives elsewhere does not count.
func (c *compiler) compile() error {
	c.arriving = interfaceNames(c.fields.interfaces)
	if c.options.Interface != "" {
		c.arriving = []string{c.options.Interface}
	}
	if err := c.families4and6(); err != nil {
		return err
	}
	steered := slices.DeleteFunc(slices.Clone(c.arriving), func(name string) bool { return !c.steered[name] })
	if len(steered) == 0 || len(steered) == len(c.arriving) {
		return nil
	}
	c.arriving = steered
	return c.families4and6()
}

// families4and6 forgets what an earlier pass has noted: reasons that hold for an interface which is not imported must not
// stand in the report.
func (c *compiler) families4and6() error {
	c.clients, c.deniers = map[string][]labelled{}, map[string][]*ruleset.Rule{}
	c.keeps = map[*ruleset.Rule]bool{}
	c.outside, c.outsideWalks = map[*ruleset.Rule]bool{}, 0
	c.left, c.steered, c.walks = map[*ruleset.Rule][]string{}, map[string]bool{}, 0
	for i, is4 := range []bool{true, false} {
		f, err := c.family(is4)
		if err != nil {
			return err
		}
		c.families[i] = f
	}
	return nil
}

// family finds out about all dsts of a family.
func (c *compiler) family(is4 bool) (*family, error) {
	destination := of(c.fields.destination, is4)
	destination = append(destination, of([][]span[netip.Addr]{prefixSpans(c.options.Prefixes), prefixSpans(c.options.Local)}, is4)...)
	destination = append(destination, of(c.routed.spans(), is4)...)
	f := &family{is4: is4, destinations: addrOrder.split(everything(is4), destination)}
	f.destinations = slices.DeleteFunc(f.destinations, func(d class[netip.Addr]) bool {
		asked := c.asked(d[0].first)
		if !asked {
			c.noteOutside(d)
		}
		return !asked
	})
	for _, d := range f.destinations {
		all := c.kindsOf(d)
		if c.walks += 2 * len(all.sources) * len(all.ports) * len(all.sourcePorts) * len(c.arriving) * len(all.locals); c.walks > mostWalks {
			return nil, fmt.Errorf("the rules tell apart over %d kinds of packets: import a part of them, with --prefix", mostWalks)
		}
		var m portMap
		for i, protocol := range protocols {
			for _, p := range all.ports {
				k := kind{protocol: protocol, destination: d[0].first, ports: p, sources: all.sources, sourcePorts: all.sourcePorts, locals: all.locals}
				made := c.decide(c.combine(k), all.sources, p)
				for _, s := range p {
					m[i] = append(m[i], portCell{s, made})
				}
			}
			m[i] = joined(m[i])
		}
		if m.has(forward) { // else these dsts get no route at all, so nothing was lost
			for _, note := range c.pending {
				note()
			}
		}
		c.pending = nil
		f.ports = append(f.ports, m)
	}
	return f, nil
}

// asked reports whether dsts like this one are to be imported.
func (c *compiler) asked(dst netip.Addr) bool {
	return len(c.options.Prefixes) == 0 || slices.ContainsFunc(c.options.Prefixes, func(p netip.Prefix) bool { return p.Contains(dst) })
}

// locals is whether dst is this host's, both if that is not known and a rule asks.
func (c *compiler) locals(dst netip.Addr) []bool {
	if c.options.LocalKnown || !c.fields.local {
		return []bool{!c.options.LocalKnown || slices.ContainsFunc(c.options.Local, func(p netip.Prefix) bool { return p.Contains(dst) })}
	}
	return []bool{true, false}
}

// kind is the packets to one class of ports and dsts, over one protocol.
type kind struct {
	protocol    config.Protocol
	destination netip.Addr
	ports       class[uint16]
	sources     []class[netip.Addr]
	sourcePorts []class[uint16]
	locals      []bool
}

// combine walks one packet for each combination of what else rules ask for.
func (c *compiler) combine(k kind) combinations {
	all := combinations{left: map[*ruleset.Rule][]string{}, word: func(variant int) string { return c.word(k, variant) }}
	for _, source := range k.sources {
		var variants []result
		for _, arriving := range c.arriving {
			for _, local := range k.locals {
				for _, sourcePort := range k.sourcePorts {
					r, left := c.resultFor(k.destination, c.walker.Walk(ruleset.Packet{
						Protocol:    uint8(k.protocol),
						Source:      netip.AddrPortFrom(source[0].first, sourcePort[0].first),
						Destination: netip.AddrPortFrom(k.destination, k.ports[0].first),
						Interface:   arriving,
						Local:       local,
					}))
					if left != "" {
						all.left[r.rule] = append(all.left[r.rule], left)
					}
					c.steered[arriving] = c.steered[arriving] || r.fate == forward && left == ""
					all.forwards = all.forwards || r.fate == forward
					variants = append(variants, r)
				}
			}
		}
		all.results = append(all.results, variants)
	}
	return all
}

// word says what a variant differs in from the first.
func (c *compiler) word(k kind, variant int) string {
	switch perInterface := len(k.locals) * len(k.sourcePorts); {
	case variant >= perInterface:
		return "the interface (--interface NAME imports what arrives on one)"
	case variant >= len(k.sourcePorts):
		return "whether dst is an address of this host (--live and --local say that)"
	}
	return "the client's port"
}

// joined sorts spans and puts neighbours with equal cells together.
func joined(all []portCell) (list []portCell) {
	slices.SortFunc(all, func(a, b portCell) int { return int(a.first) - int(b.first) })
	for _, p := range all {
		if n := len(list); n > 0 && list[n-1].cell == p.cell {
			list[n-1].last = p.last
		} else {
			list = append(list, p)
		}
	}
	return list
}

// leave notes why a part of what a rule takes is left.
func (c *compiler) leave(r *ruleset.Rule, reason string) {
	if r != nil && !slices.Contains(c.left[r], reason) {
		c.left[r] = append(c.left[r], reason)
	}
}
