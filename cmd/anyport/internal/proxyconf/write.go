package proxyconf

import (
	"net/netip"
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/draft"
	"anyport/config"
)

// Draft is the reading as a configuration of anyport.
func (r *Reading) Draft(o Options) *draft.File {
	f := &draft.File{}
	names := map[string]bool{}
	for _, s := range r.Services {
		for _, route := range s.routes(o) {
			d := route.draft()
			d.Name = freeName(route.name, names)
			d.Comments = slices.Insert(d.Comments, 0, s.where())
			d.Protocols, d.Prefixes = route.protocols, route.prefixes
			if !slices.Equal(route.ports, allPorts) {
				d.Ports = route.ports
			}
			f.Routes = append(f.Routes, d)
		}
	}
	return f
}

// allPorts is what a route takes that names none.
var allPorts = []config.PortRange{{First: 1, Last: 65535}}

// where names the section for comments.
func (s *Service) where() string { return s.Line.Place() + ": " + s.Line.Text }

// draft is a route without what it takes: origins first.
func (r *route) draft() *draft.Route {
	keys, notes := r.fitTransparent()
	d := &draft.Route{Action: config.Forward, Health: r.forwarding.Health, Comments: slices.Concat(r.forwarding.Notes, notes)}
	var origins []string
	for _, o := range r.origins {
		if text, ok := o.Text(r.ports); ok {
			origins = append(origins, o.value(text))
		}
	}
	d.Set("origins", "["+strings.Join(origins, ", ")+"]", "")
	if len(r.acceptProxy) > 0 {
		d.Set("accept_proxy", Prefixes(r.acceptProxy), "")
	}
	for _, k := range keys {
		if k.Protocol == 0 || slices.Contains(r.protocols, k.Protocol) {
			d.Set(k.Key, k.Value, "")
		}
	}
	return d
}

// DraftServices are readings for rules that bring packets to these proxies: what they listen on, and
// what they do with packets.
func DraftServices(readings ...*Reading) *draft.Services {
	all := &draft.Services{}
	for _, r := range readings {
		r.addServices(all)
	}
	return all
}

func (r *Reading) addServices(all *draft.Services) {
	for _, s := range r.Services {
		last := s.Choices[len(s.Choices)-1].Forwarding
		if n := len(s.Choices) - 1; n > 0 {
			s.Line.Leave("%d choices by the dst are left: import this file without the rules to see them", n)
		}
		for _, group := range s.groups() {
			protocols := []config.Protocol{group[0].Protocol}
			to := &route{protocols: protocols, acceptProxy: group[0].AcceptProxy, forwarding: last, origins: last.Origins}
			d := &draft.Service{Where: s.where(), Route: *to.draft()}
			d.Route.Protocols = protocols
			for _, l := range group {
				l.Line.Became("what the rules bring here")
				d.Listens = append(d.Listens, draft.Listen{Protocol: l.Protocol, Address: l.any(), Ports: l.Ports, Transparent: l.Transparent})
			}
			all.All = append(all.All, d)
		}
	}
	for _, l := range r.Lines {
		for _, reason := range l.Reasons() {
			all.Left = append(all.Left, draft.Left{Where: l.Place(), Text: l.Text, Reason: reason})
		}
	}
}

// any is the address of l; the zero one if it takes both families.
func (l Listen) any() netip.Addr {
	if l.Both {
		return netip.Addr{}
	}
	return l.Address
}

// Prefixes are prefixes as a list of TOML; single hosts without a length.
func Prefixes(prefixes []netip.Prefix) string {
	texts := make([]string, len(prefixes))
	for i, p := range prefixes {
		texts[i] = p.String()
		if p.IsSingleIP() {
			texts[i] = p.Addr().String()
		}
	}
	return draft.List(texts...)
}
