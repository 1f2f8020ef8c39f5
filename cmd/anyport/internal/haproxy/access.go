package haproxy

import (
	"net/netip"
	"slices"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/proxyconf"
)

// levels are when HAProxy meets rules: at once, after a PROXY header, after the first bytes. The rules
// of a connection see the address that packets come from; those of the other two see the client that
// the header names.
var levels = []string{"connection", "session", "content"}

// lists are rules for clients, compiled.
type lists struct {
	allow, deny []netip.Prefix
	silent      bool // a denied client gets no answer
	lines       []*directive
	conditions  []condition
	lost        []*directive // rules that have no equal
}

// became marks the rules as keys.
func (l lists) became() {
	var keys []string
	if len(l.allow) > 0 {
		keys = append(keys, "allow")
	}
	if len(l.deny) > 0 {
		keys = append(keys, "deny")
	}
	l.mark(keys...)
}

func (l lists) mark(keys ...string) {
	for _, d := range l.lines {
		d.Became(keys...)
	}
	for _, c := range l.conditions {
		c.became(keys...)
	}
}

// rules compiles the rules of some levels, in the order in which HAProxy meets them. A rule that has no
// equal is left out of the list: if it refuses clients, then anyport lets in more than HAProxy did, so
// the route's comment names it. Rules of a later level are for all that the earlier one
// lets in, so an accept of the earlier one must not end them.
func (r *reader) rules(s *settings, which []string) lists {
	var l lists
	var all []proxyconf.AccessRule
	accepted, refused := "", false
	l.silent = true
	for _, level := range which {
		for _, d := range s.each("tcp-request", level) {
			action := d.word(2)
			if action != "accept" && action != "reject" && action != "silent-drop" {
				continue
			}
			rules, c, reason := r.accessRule(s, d)
			if reason == "" && accepted != "" && accepted != level {
				reason = "rules of tcp-request " + accepted + " accept clients first: anyport has one list"
			}
			if reason != "" {
				d.Leave("%s", reason)
				if action != "accept" {
					l.lost = append(l.lost, d)
				}
				continue
			}
			if action == "accept" {
				accepted = level
			} else {
				refused = true
				l.silent = l.silent && action == "silent-drop"
			}
			all = append(all, rules...)
			l.lines, l.conditions = append(l.lines, d), append(l.conditions, c)
		}
	}
	if refused {
		l.allow, l.deny = proxyconf.Access(all)
	}
	return l
}

// accessRule is one rule: for clients of the lists that its condition names, or for all others.
func (r *reader) accessRule(s *settings, d *directive) (rules []proxyconf.AccessRule, c condition, reason string) {
	c, reason = r.condition(s, d.words[3:])
	if reason != "" {
		return nil, nil, reason
	}
	deny := d.word(2) != "accept"
	for _, list := range c {
		rule := proxyconf.AccessRule{Deny: deny}
		for i, t := range list {
			switch {
			case t.keyword == "always" && !t.not && len(list) == 1:
				rule.From = proxyconf.Everyone()
			case t.keyword != "src":
				return nil, nil, t.keyword + ": allow and deny are lists of client prefixes"
			case len(list) > 1 && !t.not || i > 0 && !rule.Other:
				return nil, nil, "it combines conditions: allow and deny are lists of client prefixes"
			default:
				rule.From = append(rule.From, t.from...)
				rule.Other = t.not
			}
		}
		if len(list) > 0 {
			rules = append(rules, rule)
		}
	}
	return rules, c, ""
}

// peers are those that send a PROXY header to a bind: with accept-proxy all that the rules let
// connect, or those of an expect-proxy rule.
func (r *reader) peers(s *settings, bind *directive, accept bool) (peers []netip.Prefix, reason string) {
	if accept {
		l := r.rules(s, levels[:1])
		switch {
		case len(l.deny) > 0 || len(l.lost) > 0:
			return nil, "accept-proxy: accept_proxy is a list of peers without exceptions: write it by hand"
		case len(l.allow) == 0:
			peers = proxyconf.Everyone()
		default:
			peers = l.allow
		}
		l.mark("accept_proxy")
		bind.Became("accept_proxy")
		return peers, ""
	}
	for _, d := range s.each("tcp-request", "connection", "expect-proxy", "layer4") {
		c, reason := r.condition(s, d.words[4:])
		if reason != "" {
			d.Leave("%s", reason)
			return nil, "expect-proxy at " + d.Place() + " has no equal, and the headers would go to the origin"
		}
		for _, list := range c {
			if len(list) != 1 || list[0].not || list[0].keyword == "dst" || list[0].keyword == "dst_port" {
				d.Leave("accept_proxy is a list of peers")
				return nil, "expect-proxy at " + d.Place() + " has no equal, and the headers would go to the origin"
			}
			if list[0].keyword == "always" {
				peers = append(peers, proxyconf.Everyone()...)
			} else {
				d.Differs("peers that it does not name are refused by anyport, not served without a header")
				peers = append(peers, list[0].from...)
			}
		}
		d.Became("accept_proxy")
		c.became("accept_proxy")
	}
	return slices.Compact(peers), ""
}

// leaveConnectionRules leaves rules that would be for clients of some binds, and for peers that send a
// PROXY header of others.
func (r *reader) leaveConnectionRules(s *settings) []*directive {
	l := r.rules(s, levels[:1])
	for _, d := range l.lines {
		d.Leave("not for the binds without accept-proxy: write allow and deny in their route")
	}
	return l.lines
}

// setAccess writes the rules for clients. Those of connections see the peer that sends a PROXY header,
// where there is one, and are then in accept_proxy.
func (r *reader) setAccess(f *proxyconf.Forwarding, front, back *settings, listens []proxyconf.Listen) {
	which := levels
	headers := func(l proxyconf.Listen) bool { return len(l.AcceptProxy) > 0 }
	if slices.ContainsFunc(listens, headers) {
		which = levels[1:]
	}
	l := r.rules(front, which)
	if len(which) < len(levels) && !slices.ContainsFunc(listens, func(l proxyconf.Listen) bool { return !headers(l) }) {
		which = levels // all binds have the peers of these rules in accept_proxy
	}
	if len(which) < len(levels) {
		l.lost = append(l.lost, r.leaveConnectionRules(front)...)
	}
	if back.section != front.section {
		behind := r.rules(back, levels[2:])
		switch {
		case len(behind.allow)+len(behind.deny) == 0:
		case len(l.allow)+len(l.deny) == 0:
			behind.lost = append(l.lost, behind.lost...)
			l = behind
		default:
			l.lost = append(l.lost, behind.lines...)
			for _, d := range behind.lines {
				d.Leave("the frontend has rules too: anyport has one list")
			}
		}
	}
	for _, d := range l.lost {
		f.Notes = append(f.Notes, "not imported, "+d.Place()+": "+d.Text)
	}
	l.became()
	if len(l.allow) > 0 {
		f.Set(nil, "allow", proxyconf.Prefixes(l.allow))
	}
	if len(l.deny) > 0 {
		f.Set(nil, "deny", proxyconf.Prefixes(l.deny))
	}
	if l.silent && len(l.allow)+len(l.deny) > 0 {
		f.Set(nil, "denied", draft.Text("drop"))
	}
}
