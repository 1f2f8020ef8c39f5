package nftables

import (
	"strconv"

	"anyport/cmd/anyport/internal/ruleset"
)

// key is a selector in the terms of package ruleset.
type key struct {
	field    ruleset.Field
	protocol uint32 // only packets of this one have the field; 0: all
	family   string // only packets of this one: "ip", "ip6"; "": all
	mask     uint32 // of the mark
}

// keyFor finds the field that e looks at. Where there is none, the protocol and the family still hold.
func keyFor(e *expression) (key, bool) {
	if e.kind == operation {
		k, known := keyFor(e.args[0])
		n, err := strconv.ParseUint(e.args[1].text, 0, 32)
		if !known || err != nil || e.args[1].kind != literal || e.text != "&" || k.field != ruleset.PacketMark || k.mask != 0 || n == 0 {
			return k, false
		}
		k.mask = uint32(n)
		return k, true
	}
	if e.kind != selector {
		return key{}, false
	}
	if k, known := fields[e.text]; known {
		return k, true
	}
	header := length(e.text, " ")
	k := key{protocol: protocolNumbers[e.text[:header]]}
	if inetFamily(e.text[:header]) {
		k.family = e.text[:header]
	}
	return k, false
}

// fields are the selectors with an equal. Ports of sctp and dccp have none: a route is of TCP or UDP.
var fields = map[string]key{
	"ip saddr":           {field: ruleset.Source, family: "ip"},
	"ip daddr":           {field: ruleset.Destination, family: "ip"},
	"ip6 saddr":          {field: ruleset.Source, family: "ip6"},
	"ip6 daddr":          {field: ruleset.Destination, family: "ip6"},
	"ip protocol":        {field: ruleset.Protocol, family: "ip"},
	"ip6 nexthdr":        {field: ruleset.Protocol, family: "ip6"},
	"meta l4proto":       {field: ruleset.Protocol},
	"meta nfproto":       {field: ruleset.Family},
	"meta protocol":      {field: ruleset.Family},
	"tcp sport":          {field: ruleset.SourcePort, protocol: 6},
	"tcp dport":          {field: ruleset.DestinationPort, protocol: 6},
	"udp sport":          {field: ruleset.SourcePort, protocol: 17},
	"udp dport":          {field: ruleset.DestinationPort, protocol: 17},
	"th sport":           {field: ruleset.SourcePort},
	"th dport":           {field: ruleset.DestinationPort},
	"iifname":            {field: ruleset.Interface},
	"iif":                {field: ruleset.Interface},
	"meta mark":          {field: ruleset.PacketMark},
	"ct state":           {field: ruleset.ConnState},
	"fib daddr type":     {field: ruleset.LocalDestination},
	"socket transparent": {field: ruleset.TransparentSocket},
}

// protocolNumbers are those of the protocols that rules look into the headers of. icmp, ip6 and other
// words stand for no protocol of a field above.
var protocolNumbers = map[string]uint32{
	"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "ipv6-icmp": 58, "comp": 108,
	"sctp": 132, "udplite": 136,
}
