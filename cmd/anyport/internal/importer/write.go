package importer

import (
	"fmt"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/ruleset"
	"anyport/config"
)

// actionOf is what a route does for a fate. What no rule takes needs a route only inside a prefix whose
// routes would take it: there it is refused, or what Options.Unmatched says.
func actionOf(f fate) config.Action {
	switch f {
	case forward:
		return config.Forward
	case pass:
		return config.Pass
	case drop:
		return config.Drop
	}
	return config.Refuse
}

// draft writes the routes of all pieces, and notes of each rule which routes it became.
func (c *compiler) draft(comments []string) (*draft.File, map[*ruleset.Rule][]string) {
	file := &draft.File{Comments: comments}
	file.Steering = []draft.Setting{{Key: "unmatched", Value: draft.Text(c.options.Unmatched.String()), Comment: "ports of the prefixes below that no route takes"}}
	c.imported = map[*ruleset.Rule]bool{}
	routes, taken := map[*ruleset.Rule][]string{}, names{}
	for _, p := range c.pieces() {
		r := c.route(p, taken.of(p))
		file.Routes = append(file.Routes, r)
		if p.rule != nil {
			routes[p.rule] = append(routes[p.rule], r.Name)
			c.imported[p.rule] = true
		}
		for _, denier := range c.deniers[p.clients] {
			routes[denier] = append(routes[denier], r.Name)
		}
	}
	return file, routes
}

// route writes one piece. The comments name its rules, so that whoever reads the file can compare it with them.
func (c *compiler) route(p *piece, name string) *draft.Route {
	r := &draft.Route{Name: name, Protocols: p.protocols, Prefixes: p.prefixes, Action: actionOf(p.fate)}
	if p.fate == untouched || p.fate == kept {
		r.Action = c.options.Unmatched
	}
	r.Ports, r.ExceptPorts = written(p.ports)
	if len(r.Ports) == 1 && r.Ports[0].Width() == 65535 {
		r.Ports = nil
	}
	if p.rule == nil {
		r.Comments = append(r.Comments, "no rule takes these ports here, though rules take them in the prefix around")
	} else {
		r.Comments = append(r.Comments, fmt.Sprintf("%s: %s", c.place(p.rule), p.rule.Text))
	}
	if p.fate != forward {
		return r
	}
	for _, denier := range c.deniers[p.clients] {
		r.Comments = append(r.Comments, fmt.Sprintf("%s: %s", c.place(denier), denier.Text))
	}
	c.setOrigins(r, p.rule)
	c.setClients(r, p)
	return r
}

// setClients writes what the rules ask of src. anyport lets the longest of allow and deny win, so the lists may overlap.
func (c *compiler) setClients(r *draft.Route, p *piece) {
	if p.clients == "" {
		return
	}
	allow, deny := clientLists(c.clients[p.clients])
	if len(allow) > 0 {
		r.Set("allow", draft.List(allow...), "")
	}
	if len(deny) > 0 {
		r.Set("deny", draft.List(deny...), "")
	}
	if p.denied == config.Drop {
		r.Set("denied", draft.Text("drop"), "")
	}
}
