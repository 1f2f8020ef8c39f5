package iptables

import (
	"net/netip"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
)

// targets are those that end a rule, and those that do nothing to where a packet goes.
var targets = map[string]ruleset.Action{
	"ACCEPT": ruleset.Accept, "DROP": ruleset.Drop, "REJECT": ruleset.Reject, "RETURN": ruleset.Return,
	"TPROXY": ruleset.Intercept, "REDIRECT": ruleset.Intercept, "DNAT": ruleset.Intercept,
	"MARK": ruleset.Continue, "CONNMARK": ruleset.Continue,
	"LOG": ruleset.Continue, "NFLOG": ruleset.Continue, "ULOG": ruleset.Continue, "TRACE": ruleset.Continue, "AUDIT": ruleset.Continue,
	"CT": ruleset.Continue, "NOTRACK": ruleset.Continue, "CHECKSUM": ruleset.Continue, "TOS": ruleset.Continue, "DSCP": ruleset.Continue,
	"TTL": ruleset.Continue, "HL": ruleset.Continue, "TCPMSS": ruleset.Continue, "CLASSIFY": ruleset.Continue, "SET": ruleset.Continue,
	"SECMARK": ruleset.Continue, "CONNSECMARK": ruleset.Continue, "IDLETIMER": ruleset.Continue, "ECN": ruleset.Continue, "LED": ruleset.Continue,
	"TCPOPTSTRIP": ruleset.Continue, "TEE": ruleset.Continue, "RATEEST": ruleset.Continue,
	// These are not understood. What each stands for bounds what it can do to a packet.
	"NETMAP": ruleset.Intercept, "NFQUEUE": ruleset.Accept, "SYNPROXY": ruleset.Drop,
}

// readTarget: a name that is not a target is a chain that somebody made. Its action is set even if it has no equal, as
// it bounds what the rule can do: one that may only drop does not keep a packet from a later rule's route.
func readTarget(p *parser, name string) ([]ruleset.Condition, bool) {
	p.target, p.match = name, name
	action, known := targets[name]
	switch {
	case !known:
		p.rule.Action, p.rule.Chain = ruleset.Jump, name
	case reasons[name] != "":
		p.rule.Action = action
		p.failWhole("-j "+name, name)
	default:
		p.rule.Action = action
	}
	switch name {
	case "REDIRECT":
		p.rule.To.Mechanism = ruleset.Redirect
	case "DNAT", "NETMAP":
		p.rule.To.Mechanism = ruleset.DNAT
	}
	return nil, name != ""
}

// readGoto: -g, unlike -j, does not come back to this chain.
func readGoto(p *parser, name string) ([]ruleset.Condition, bool) {
	p.rule.Action, p.rule.Chain = ruleset.Goto, name
	return nil, name != ""
}

// targetOptions are those that change where a packet goes.
var targetOptions = map[string]map[string]func(*parser) bool{
	"TPROXY":   {"--on-port": onPort, "--on-ip": onIP, "--tproxy-mark": tproxyMark},
	"REDIRECT": {"--to-ports": toPorts, "--to-port": toPorts, "--random": ignore, "--random-fully": ignore},
	"DNAT":     {"--to-destination": toDestination, "--to": toDestination, "--random": ignore, "--persistent": ignore},
	"MARK":     {"--set-mark": setMark, "--set-xmark": setXmark, "--or-mark": orMark, "--and-mark": andMark, "--xor-mark": xorMark},
	"CONNMARK": {"--restore-mark": restoreMark},
	"REJECT":   {"--reject-with": skip},
}

// harmless reports whether the current target does nothing to where a packet goes, whatever its
// options are.
func (p *parser) harmless() bool {
	action, known := targets[p.target]
	return known && action == ruleset.Continue && p.target != "MARK"
}

func ignore(*parser) bool { return true }

func skip(p *parser) bool { return p.take() != "" }

// onPort: with 0 the port of the packet stays, so every port has a daemon of its own.
func onPort(p *parser) bool {
	n, ok := port(p.take())
	if n == 0 && ok {
		p.fail("--on-port 0: each port has its own daemon, so there is not one that anyport could replace")
	}
	p.rule.To.Ports = ruleset.Range{First: n, Last: n}
	return ok
}

// onIP: the unspecified address is the default, the one that the packet's interface has.
func onIP(p *parser) bool {
	ip, err := netip.ParseAddr(p.take())
	if err == nil && !ip.IsUnspecified() {
		p.rule.To.Address = ip
	}
	return err == nil
}

// tproxyMark: --tproxy-mark VALUE/MASK is what --set-xmark is, and not --set-mark: the kernel clears the mask and XORs.
func tproxyMark(p *parser) bool {
	m, ok := mark(p.take())
	p.rule.SetMark = &m
	return ok
}

// toPorts reads one port or a range, of which the kernel picks one.
func toPorts(p *parser) bool {
	all := ports(p.take())
	if len(all) != 1 {
		return false
	}
	p.rule.To.Ports = all[0]
	return true
}

// toDestination reads ADDRESS[-ADDRESS][:PORT[-PORT]], IPv6 in brackets where it has a port. After
// "/" newer versions have a base for the ports, which then are mapped by their offset.
func toDestination(p *parser) bool {
	text := p.take()
	if p.rule.To.Address.IsValid() || strings.Contains(text, "/") {
		return false
	}
	host, tail := text, ""
	if strings.HasPrefix(text, "[") {
		host, tail, _ = strings.Cut(text[1:], "]")
	} else if strings.Count(text, ":") == 1 {
		at := strings.IndexByte(text, ':')
		host, tail = text[:at], text[at:]
	}
	if tail != "" {
		all := ports(strings.TrimPrefix(tail, ":"))
		if len(all) != 1 {
			return false
		}
		p.rule.To.Ports = all[0]
	}
	if host == "" {
		return true // only the port changes
	}
	r, ok := address(host)
	if r.First != r.Last {
		p.rule.To.Last = r.Last
	}
	p.rule.To.Address = r.First
	return ok
}

func setMark(p *parser) bool {
	m, ok := mark(p.take())
	m.Mask |= m.Value // --set-mark clears the bits of the mask and sets those of the value
	p.rule.SetMark = &m
	return ok
}

// setXmark: mark = mark &^ mask ^ value, the form that all others are brought to.
func setXmark(p *parser) bool {
	m, ok := mark(p.take())
	p.rule.SetMark = &m
	return ok
}

func orMark(p *parser) bool {
	m, ok := mark(p.take())
	p.rule.SetMark = &ruleset.Mark{Value: m.Value, Mask: m.Value}
	return ok
}

func andMark(p *parser) bool {
	m, ok := mark(p.take())
	p.rule.SetMark = &ruleset.Mark{Mask: ^m.Value}
	return ok
}

func xorMark(p *parser) bool {
	m, ok := mark(p.take())
	p.rule.SetMark = &ruleset.Mark{Value: m.Value}
	return ok
}

// restoreMark: the mark of a new conn is 0.
func restoreMark(p *parser) bool {
	p.rule.SetMark = &ruleset.Mark{Mask: 1<<32 - 1}
	for len(p.rest) > 0 && strings.HasSuffix(p.rest[0], "mask") {
		p.take()
		p.take()
	}
	return true
}

// finish checks what only the whole rule shows.
func (p *parser) finish() {
	if p.rule.Action == ruleset.Intercept && p.target == "TPROXY" && p.rule.To.Ports == (ruleset.Range{}) && len(p.unknown) == 0 {
		p.fail("-j TPROXY without --on-port: not understood")
	}
	if p.rule.Action == ruleset.Intercept && p.target == "DNAT" && p.rule.To == (ruleset.Target{Mechanism: ruleset.DNAT}) && len(p.unknown) == 0 {
		p.fail("-j DNAT without --to-destination: not understood")
	}
}
