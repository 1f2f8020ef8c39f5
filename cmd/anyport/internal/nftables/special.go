package nftables

import (
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
)

// special translates what is not a value of a field. "socket …" looks up a socket, also a listening one,
// and ends the rule if there is none: so "socket transparent 0" is not the contrary of "… 1".
func (p *part) special(s statement) bool {
	switch what := keyOf(s.left); what {
	case "socket wildcard": // with "socket transparent 1", it asks for more than that alone, of the same socket
		return p.rule.asksForTransparent()
	case "tcp flags":
		p.protocol(6)
		p.flags(s)
		return true
	case "fib daddr type":
		value := printed(s.right, "")
		if s.sign != "==" || value == "local" || s.right.kind != literal {
			return false
		}
		p.conditions = append(p.conditions, ruleset.Condition{Not: true, Any: [][]ruleset.Atom{{{Field: ruleset.LocalDestination}}}})
		p.reason("fib")
		return true
	}
	return false
}

// asksForTransparent reports whether the rule has the socket match of a TPROXY set-up: no first packet of a conn has
// such a socket, so what else the rule asks of it does not matter.
func (r *rule) asksForTransparent() bool {
	for _, s := range r.statements {
		if s.verb == match && s.left.text == "socket transparent" && s.sign == "==" && printed(s.right, "") == "1" {
			return true
		}
	}
	return false
}

// flags compares with the flags of the first packet of a conn: SYN alone, or with ECE and CWR, which
// clients that offer ECN set (RFC 3168, section 6.1.1). A mask that has these two is left.
func (p *part) flags(s statement) {
	mask, value := uint32(0xff), flagBits(printed(s.right, ""))
	exact := s.left.kind == operation
	if exact {
		mask = flagBits(printed(s.left.args[1], ""))
	}
	var holds bool
	switch {
	case value == 0 && printed(s.right, "") != "0x0" || mask == 0 || exact && mask&0xc0 != 0 || s.right.kind != literal:
		p.reason("tcp flags")
		return
	case exact:
		holds = mask&2 == value
	case s.sign == "in":
		holds = value&2 != 0
	default:
		p.reason("tcp flags")
		return
	}
	if holds == (s.sign == "!=") {
		p.conditions = append(p.conditions, ruleset.Condition{})
	}
}

// flagBits reads "syn,ack", and "(syn | ack)" as nft 1.0.9 and later print it. It is 0 for what is not understood.
func flagBits(text string) (bits uint32) {
	for _, name := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("(),| ", r) }) {
		bit, known := map[string]uint32{"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}[name]
		if !known {
			return 0
		}
		bits |= bit
	}
	return bits
}
