package table

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"anyport/config"
)

// KnockWithin is how long a client has from the first knock of a sequence to the last. The
// kernel's is KNOCK_WITHIN in bpf/knock.h.
const KnockWithin = 10 * time.Second

// DoorbellRate is how many authenticated datagrams a second reach the process, of all clients
// together. Each costs it one HMAC.
const DoorbellRate = 1000

// KnockStep is one port of a sequence.
type KnockStep struct {
	Group    uint32 // [Policy.Knocks]
	Port     uint16
	Route    *config.Route
	Position int
	Last     bool
}

// knockGroup returns the number of the set of routes with a sequence that apply to a prefix:
// those of the prefixes around it, and its own. 0 is the empty set.
func (c *compiler) knockGroup(around uint32, own []claim) uint32 {
	set := slices.Clone(c.table.knockSet(around))
	for _, o := range own {
		if r := c.table.bindings[o.binding].Route; r != nil && len(r.Knock.Ports()) > 0 {
			set = append(set, o.binding)
		}
	}
	if len(set) == 0 {
		return 0
	}
	slices.Sort(set)
	set = slices.Compact(set)
	var key []byte
	for _, b := range set {
		key = binary.LittleEndian.AppendUint32(key, b)
	}
	group, known := c.knockGroups[string(key)]
	if !known {
		c.table.knocks = append(c.table.knocks, set)
		group = uint32(len(c.table.knocks))
		c.knockGroups[string(key)] = group
	}
	return group
}

// DoorID is how the kernel knows the door of a route, in each generation and process. It is never 0.
func DoorID(route string) uint64 { return hash(route) | 1 }

// knockSet returns the bindings of a group.
func (t *Table) knockSet(group uint32) []uint32 {
	if group == 0 {
		return nil
	}
	return t.knocks[group-1]
}

// KnockSteps yields the steps of all groups. No two have the same group and port.
func (t *Table) KnockSteps() iter.Seq[KnockStep] {
	return func(yield func(KnockStep) bool) {
		for i, set := range t.knocks {
			for _, b := range set {
				ports := t.bindings[b].Route.Knock.Ports()
				for position, port := range ports {
					if !yield(KnockStep{uint32(i + 1), port, t.bindings[b].Route, position, position == len(ports)-1}) {
						return
					}
				}
			}
		}
	}
}

// bindDoorbell binds the port for authenticated datagrams on the prefixes of the routes that
// they open.
func (c *compiler) bindDoorbell(cfg *config.Config) {
	if !cfg.TakesKnocks() {
		return
	}
	c.doorbell = uint32(len(c.table.bindings))
	c.table.bindings = append(c.table.bindings, Binding{Rules: Rules{
		Verdict: Steer, Doorbell: true, NewConnSpacing: spacing(DoorbellRate),
	}})
	port := config.PortRange{First: uint16(cfg.Knock.Port), Last: uint16(cfg.Knock.Port)}
	c.taken[c.doorbell] = takenPorts{udp: []span{{port, port.Width(), c.doorbell}}}
}

// IsDoorbell reports whether the process takes UDP to dst as an authenticated knock.
func (t *Table) IsDoorbell(dst netip.AddrPort) bool {
	b := t.find(config.UDP, dst)
	return b != nil && b.Doorbell
}

// knockReason says what a client must do before route admits it.
func knockReason(route *config.Route) []string {
	switch {
	case !route.Knock.Needed():
		return nil
	case route.Knock.SPA():
		return []string{fmt.Sprintf("route %q admits a client for %s after an authenticated datagram: anyport knock HOST --route %[1]s --key FILE; until then, denied = %q", route.Name, route.Knock.Window, route.Denied)}
	}
	return []string{fmt.Sprintf("route %q admits a client for %s after knocks at the ports %v in this order; until then, denied = %q", route.Name, route.Knock.Window, route.Knock.Ports(), route.Denied)}
}
