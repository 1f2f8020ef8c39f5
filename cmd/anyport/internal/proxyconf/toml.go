package proxyconf

import (
	"fmt"
	"slices"
	"strings"

	"anyport/config"
)

// TOML is the route as a file has it. Origins whose shifted port is none are left out, and noted.
func (r *Route) TOML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n", r.From.Place(), r.From.Text)
	for _, note := range r.Forwarding.Notes {
		fmt.Fprintf(&b, "# %s\n", note)
	}
	fmt.Fprintf(&b, "[route.%s]\n", r.Name)
	for _, k := range r.keys() {
		fmt.Fprintf(&b, "%s = %s\n", k.Name, k.Value)
	}
	if len(r.Forwarding.Health) > 0 {
		fmt.Fprintf(&b, "\n[route.%s.health]\n", r.Name)
	}
	for _, k := range r.Forwarding.Health {
		fmt.Fprintf(&b, "%s = %s\n", k.Name, k.Value)
	}
	return b.String()
}

// keys are the keys of the route's own table.
func (r *Route) keys() []Key {
	keys := []Key{
		{Name: "protocol", Value: protocols(r.Protocols)},
		{Name: "prefixes", Value: Prefixes(r.Prefixes)},
		{Name: "ports", Value: ports(r.Ports)},
	}
	if len(r.AcceptProxy) > 0 {
		keys = append(keys, Key{Name: "accept_proxy", Value: Prefixes(r.AcceptProxy)})
	}
	return append(keys, r.Forwarding.RouteKeys(r.Protocols, r.Ports)...)
}

// RouteKeys are the keys of a route that forwards so, besides what it takes and its check.
func (f *Forwarding) RouteKeys(protocols []config.Protocol, ports []config.PortRange) []Key {
	var origins []string
	for _, o := range f.Origins {
		if text, ok := o.Text(ports); ok {
			origins = append(origins, o.value(text))
		}
	}
	keys := []Key{{Name: "origins", Value: "[" + strings.Join(origins, ", ") + "]"}}
	for _, k := range f.Keys {
		if k.Protocol == 0 || slices.Contains(protocols, k.Protocol) {
			keys = append(keys, k)
		}
	}
	return keys
}

// protocols is one, or a list of both.
func protocols(list []config.Protocol) string {
	if len(list) == 1 {
		return String(list[0].String())
	}
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return Strings(texts)
}

// ports is a list of ports and ranges, or "all".
func ports(ranges []config.PortRange) string {
	if len(ranges) == 1 && ranges[0].Width() == 65535 {
		return String("all")
	}
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = r.String()
		if r.First != r.Last {
			texts[i] = String(texts[i])
		}
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
