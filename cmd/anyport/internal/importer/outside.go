package importer

import (
	"net/netip"

	"anyport/cmd/anyport/internal/ruleset"
)

// mostOutside bounds the walks that look outside of --prefix: --prefix is what makes the import of large rule sets
// possible.
const mostOutside = mostWalks / 16

// noteOutside notes the rules that also take dsts for which no import was asked. To delete such a rule would take
// these from the old proxy.
func (c *compiler) noteOutside(dsts class[netip.Addr]) {
	k := c.kindsOf(dsts)
	for _, protocol := range protocols {
		for _, ports := range k.ports {
			for _, source := range k.sources {
				for _, sourcePort := range k.sourcePorts {
					for _, arriving := range c.arriving {
						for _, local := range k.locals {
							if c.outsideWalks++; c.outsideWalks > mostOutside {
								return
							}
							o := c.walker.Walk(ruleset.Packet{
								Protocol:    uint8(protocol),
								Source:      netip.AddrPortFrom(source[0].first, sourcePort[0].first),
								Destination: netip.AddrPortFrom(dsts[0].first, ports[0].first),
								Interface:   arriving,
								Local:       local,
							})
							if o.Verdict == ruleset.Intercepted {
								c.outside[o.Rule] = true
							}
						}
					}
				}
			}
		}
	}
}

// takesOutside reports whether r has to stay for other dsts. Where that is not known, it has to.
func (c *compiler) takesOutside(r *ruleset.Rule) bool {
	return r.Action == ruleset.Intercept && (c.outside[r] || c.outsideWalks > mostOutside)
}

// kinds are the classes of all that the rules ask for of packets to one class of dsts.
type kinds struct {
	locals             []bool
	sources            []class[netip.Addr]
	ports, sourcePorts []class[uint16]
}

// kindsOf divides what else a packet to these dsts has: only by what rules ask that can match one of them.
func (c *compiler) kindsOf(dsts class[netip.Addr]) kinds {
	dst := dsts[0].first
	asked := fieldsOf(c.rules, dst)
	return kinds{
		locals:      c.locals(dst),
		sources:     addrOrder.split(everything(dst.Is4()), of(asked.source, dst.Is4())),
		ports:       portOrder.split(span[uint16]{1, 65535}, asked.destinationPort),
		sourcePorts: portOrder.split(span[uint16]{1, 65535}, asked.sourcePort),
	}
}
