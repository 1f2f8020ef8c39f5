package importer

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
	"anyport/config/habits"
)

// names gives each route a name of its own, which says where it comes from and stays the same as long
// as its rule does.
type names map[string]bool

// of returns a name that no route has yet, of at most the 64 bytes that the file allows.
func (n names) of(p *piece) string {
	base := base(p)
	if !slices.ContainsFunc(p.prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() }) {
		base += "-v6"
	}
	if len(base) > 56 {
		base = base[:56]
	}
	name := base
	for i := 2; n[name]; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	n[name] = true
	return name
}

// base is the comment of the rule if it has one, or else what the rule does with which ports.
func base(p *piece) string {
	if p.rule != nil && p.fate == forward {
		if slug := strings.Trim(habits.Slug(p.rule.Comment), "-_"); slug != "" {
			return slug
		}
	}
	protocol := ""
	if len(p.protocols) == 1 {
		protocol = "-" + p.protocols[0].String()
	}
	if p.fate == forward {
		return mechanismName(p.rule.To) + protocol
	}
	ports := "ports"
	if len(p.ports) == 1 && p.ports[0].first == p.ports[0].last {
		ports = strconv.Itoa(int(p.ports[0].first))
	}
	return fmt.Sprintf("%s-%s%s", actionOf(p.fate), ports, protocol)
}

func mechanismName(to ruleset.Target) string {
	name := [...]string{ruleset.TProxy: "tproxy", ruleset.Redirect: "redirect", ruleset.DNAT: "dnat"}[to.Mechanism]
	if to.Ports.First == 0 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, to.Ports.First)
}
