package importer

import (
	"fmt"
	"net/netip"
	"strings"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/ruleset"
	"anyport/config"
)

// mostAddresses of a DNAT to a range become origins. A rule with more is left: see originsFit.
const mostAddresses = 64

// setOrigins gives a route that forwards its origins: those of DNAT are in the rule, others behind
// the old daemon.
func (c *compiler) setOrigins(r *draft.Route, rule *ruleset.Rule) {
	to := rule.To
	if to.Mechanism == ruleset.DNAT && to.Address.IsValid() && !to.Address.IsLoopback() {
		r.Set("origins", draft.List(addressesOf(to)...), "")
		if to.Last.IsValid() {
			r.Set("balance", draft.Text(string(config.SourceHash)), "")
		}
		return
	}
	for _, protocol := range r.Protocols { // the first service serves both: a proxy has one section for them
		service := c.options.Services.At(protocol, to.Address, uint16(to.Ports.First))
		if service == nil || to.Ports.First != to.Ports.Last {
			continue
		}
		r.Comments = append(append(r.Comments, "to "+service.Where), service.Route.Comments...)
		for _, s := range service.Route.Settings {
			c.setOnce(r, s)
		}
		r.Health = service.Route.Health
		return
	}
	origin, comment := c.options.Origin, ""
	if origin == "" {
		origin, comment = draft.OriginPlaceholder, fmt.Sprintf("the server behind the daemon on port %d", to.Ports.First)
		if to.Ports.First == 0 {
			comment = "the server behind the daemon on the same port"
		}
	}
	r.Set("origins", draft.List(origin), comment)
}

// setOnce keeps what the rules have said already.
func (c *compiler) setOnce(r *draft.Route, s draft.Setting) {
	if !r.Has(s.Key) {
		r.Settings = append(r.Settings, s)
		return
	}
	r.Comments = append(r.Comments, fmt.Sprintf("the daemon also has %s = %s, which the rules go before", s.Key, strings.Join(strings.Fields(s.Value), " ")))
}

// addressesOf are the origins of a DNAT rule. A range of ports was found to hold the client's port,
// which the kernel then keeps.
func addressesOf(to ruleset.Target) (all []string) {
	last := to.Last
	if !last.IsValid() {
		last = to.Address
	}
	for ip := to.Address; ; ip = ip.Next() {
		text := ip.String()
		if to.Ports.First != 0 && to.Ports.First == to.Ports.Last {
			text = netip.AddrPortFrom(ip, uint16(to.Ports.First)).String()
		}
		all = append(all, text)
		if ip == last {
			return all
		}
	}
}

// originsFit refuses a DNAT to more addresses than a file should name: a part of them would change where conns go.
func originsFit(to ruleset.Target) string {
	if to.Mechanism != ruleset.DNAT || !to.Last.IsValid() {
		return ""
	}
	ip := to.Address
	for range mostAddresses {
		if ip == to.Last {
			return ""
		}
		ip = ip.Next()
	}
	return fmt.Sprintf("it goes to more than %d addresses: write the route by hand, with the origins that serve", mostAddresses)
}
