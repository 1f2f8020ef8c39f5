package iptables

import (
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
)

// option is one that a rule may have before its target.
type option struct {
	match    string // -m that it belongs to; "": it is clear without
	argument bool
	read     func(p *parser, value string) (conditions []ruleset.Condition, ok bool)
}

// options are those that are understood.
var options map[string]*option

func init() { // a table whose functions refer to the table cannot be initialised where it is declared
	options = map[string]*option{
		"-p": {"", true, readProtocol}, "-s": {"", true, readAddresses(ruleset.Source)}, "-d": {"", true, readAddresses(ruleset.Destination)},
		"-i": {"", true, readInterface}, "-m": {"", true, readMatch}, "-j": {"", true, readTarget}, "-g": {"", true, readGoto},
		"-4": {"", false, nothing}, "-6": {"", false, nothing}, "-c": {"", true, readCounters},
		"--comment": {"", true, readComment},
		"--dport":   {"", true, readPorts(ruleset.DestinationPort)}, "--dports": {"", true, readPorts(ruleset.DestinationPort)},
		"--sport": {"", true, readPorts(ruleset.SourcePort)}, "--sports": {"", true, readPorts(ruleset.SourcePort)},
		"--ports": {"multiport", true, readEitherPort},
		"--syn":   {"", false, readSyn}, "--tcp-flags": {"", true, readFlags},
		"--match-set": {"set", true, readSet}, "--set": {"set", true, readSet},
		"--transparent": {"socket", false, nothing}, "--nowildcard": {"socket", false, nothing}, "--restore-skmark": {"socket", false, nothing},
		"--dst-type": {"addrtype", true, readDestinationType},
		"--mark":     {"mark", true, readMark},
		"--ctstate":  {"conntrack", true, readState}, "--state": {"state", true, readState}, "--ctdir": {"conntrack", true, readDirection},
		"--src-range": {"iprange", true, readAddresses(ruleset.Source)}, "--dst-range": {"iprange", true, readAddresses(ruleset.Destination)},
	}
	for long, short := range map[string]string{
		"--protocol": "-p", "--proto": "-p", "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d",
		"--in-interface": "-i", "--match": "-m", "--jump": "-j", "--goto": "-g", "--set-counters": "-c",
		"--destination-port": "--dport", "--source-port": "--sport", "--destination-ports": "--dports", "--source-ports": "--sports", "--port": "--ports",
	} {
		options[long] = options[short]
	}
}

// matches are those that -m may name and that ask nothing by themselves, except socket.
var matches = map[string]bool{
	"tcp": true, "udp": true, "multiport": true, "comment": true, "set": true, "socket": true, "addrtype": true,
	"mark": true, "conntrack": true, "state": true, "iprange": true, "icmp": true, "icmp6": true,
}

// nothing is for options that are true of each first packet, or of no interest.
func nothing(*parser, string) ([]ruleset.Condition, bool) { return nil, true }

// readMatch: -m tcp also asks for -p tcp, without which iptables refuses it.
func readMatch(p *parser, name string) ([]ruleset.Condition, bool) {
	p.match = name
	switch {
	case name == "socket":
		return []ruleset.Condition{{Any: [][]ruleset.Atom{{{Field: ruleset.TransparentSocket}}}}}, true
	case !matches[name]:
		p.failWhole("-m "+name, name)
	}
	return nil, true
}

// failWhole fails the rule for a match or target that is not understood, once, whatever its options are.
func (p *parser) failWhole(text, name string) {
	if p.reasons == nil {
		p.reasons = map[string]bool{}
	}
	p.reasons[name] = true
	reason, known := reasons[name]
	if !known {
		reason = "not understood"
	}
	p.fail(text + ": " + reason)
}

// readProtocol: "all" asks nothing, and "! -p all" is refused by iptables.
func readProtocol(p *parser, value string) ([]ruleset.Condition, bool) {
	if value == "all" || value == "0" {
		return nil, !p.not
	}
	n, ok := protocol(value)
	return p.one(ruleset.Atom{Field: ruleset.Protocol, Numbers: []ruleset.Range{{First: n, Last: n}}}), ok
}

// readAddresses reads a list as -s and -d have it, or a range as -m iprange has it; nil where it has a host name.
func readAddresses(field ruleset.Field) func(*parser, string) ([]ruleset.Condition, bool) {
	return func(p *parser, value string) ([]ruleset.Condition, bool) {
		all := addresses(value, p.family)
		return p.one(ruleset.Atom{Field: field, Addresses: all}), all != nil
	}
}

// readInterface keeps the "+" at the end: see ruleset.Interface.
func readInterface(p *parser, value string) ([]ruleset.Condition, bool) {
	return p.one(ruleset.Atom{Field: ruleset.Interface, Names: []string{value}}), value != ""
}

// readCounters skips the packets and the bytes of -c.
func readCounters(p *parser, _ string) ([]ruleset.Condition, bool) {
	p.take()
	return nil, true
}

func readComment(p *parser, value string) ([]ruleset.Condition, bool) {
	p.rule.Comment = value
	return nil, true
}

// readPorts reads the ports of --sport, --dport and multiport, in one of the two directions.
func readPorts(field ruleset.Field) func(*parser, string) ([]ruleset.Condition, bool) {
	return func(p *parser, value string) ([]ruleset.Condition, bool) {
		all := ports(value)
		return p.one(ruleset.Atom{Field: field, Numbers: all}), all != nil
	}
}

// readEitherPort: multiport's --ports asks for the port of src or of dst.
func readEitherPort(p *parser, value string) ([]ruleset.Condition, bool) {
	all := ports(value)
	return []ruleset.Condition{{Not: p.not, Any: [][]ruleset.Atom{
		{{Field: ruleset.SourcePort, Numbers: all}}, {{Field: ruleset.DestinationPort, Numbers: all}}}}}, all != nil
}

// readSyn: the first packet of a conn has SYN and neither ACK, RST nor FIN.
func readSyn(p *parser, _ string) ([]ruleset.Condition, bool) { return never(p.not), true }

// never is a condition that no first packet meets, or none at all.
func never(is bool) []ruleset.Condition {
	if is {
		return []ruleset.Condition{{}}
	}
	return nil
}

// readFlags takes MASK and the flags of it that are set. ECN adds ECE and CWR to a SYN, or not.
func readFlags(p *parser, mask string) ([]ruleset.Condition, bool) {
	set := p.take()
	if mask == "ALL" || strings.Contains(mask, "ECE") || strings.Contains(mask, "CWR") {
		return nil, false
	}
	asked := strings.Contains(","+mask+",", ",SYN,")
	wanted := set == "SYN" && asked || set == "NONE" && !asked
	return never(wanted == p.not), true
}

// readMark: a value with bits outside of its mask matches no packet. The kernel compares mark & mask with the whole
// value (xt_mark.c).
func readMark(p *parser, value string) ([]ruleset.Condition, bool) {
	m, ok := mark(value)
	if ok && m.Value&^m.Mask != 0 {
		return never(!p.not), true
	}
	a := ruleset.Atom{Field: ruleset.PacketMark, Mask: m.Mask, Numbers: []ruleset.Range{{First: m.Value, Last: m.Value}}}
	if m.Mask == 0 {
		return never(p.not), ok // any mark will do
	}
	return p.one(a), ok
}

// readState keeps all names: a first packet is NEW, so that a rule for ESTABLISHED alone never matches.
func readState(p *parser, value string) ([]ruleset.Condition, bool) {
	names := strings.Split(strings.ToLower(value), ",")
	return p.one(ruleset.Atom{Field: ruleset.ConnState, Names: names}), value != ""
}

// readDirection: a first packet is of the direction ORIGINAL.
func readDirection(p *parser, value string) ([]ruleset.Condition, bool) {
	return never((value == "ORIGINAL") == p.not), value == "ORIGINAL" || value == "REPLY"
}

// destinationTypes are the types of routes that dsts alone decide.
var destinationTypes = map[string]map[string]string{
	"MULTICAST": {"ip": "224.0.0.0/4", "ip6": "ff00::/8"},
}

// readDestinationType: which dsts are LOCAL depends on the host, so it is asked of each packet. Other types, as
// UNICAST or BROADCAST, depend on its whole routing table and are not understood.
func readDestinationType(p *parser, value string) ([]ruleset.Condition, bool) {
	if value == "LOCAL" {
		return p.one(ruleset.Atom{Field: ruleset.LocalDestination}), true
	}
	all := addresses(destinationTypes[value][p.family], p.family)
	return p.one(ruleset.Atom{Field: ruleset.Destination, Addresses: all}), all != nil
}
