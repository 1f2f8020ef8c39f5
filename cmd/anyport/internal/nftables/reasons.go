package nftables

import "strings"

// Reasons why a rule has no translation.
const (
	hiddenReason = "nft leaves out a part of this rule, which is of iptables: import the output of iptables-save, or of " +
		"ip6tables-save, for this table"
	lostReason   = "nft leaves out where to: import the output of nft -j list ruleset"
	netmapReason = "it maps a network onto another, address by address: write a route for each with its origin"
	expiring     = "elements of this set expire, so a route of today's elements would soon be wrong"
	counting     = "elements of this set count packets, and hold for some of them only"
	learning     = "packets change this set"
	tracking     = "another rule has notrack: which packets have a state is not known"
)

// because is what a statement without a translation may do.
type because struct {
	verb verb // asks, unclear, nothing
	text string
}

// reasonsOf are by the first words of a statement, or of a selector.
var reasonsOf = map[string]because{
	"limit":        {asks, "a rate has no equal in the match of a route: see new_conns_per_second"},
	"meter":        {asks, "a rate has no equal in the match of a route: see new_conns_per_second and its limits by client"},
	"quota":        {asks, "a quota has no equal: see bandwidth"},
	"ct count":     {asks, "a number of conns has no equal in the match of a route: see max_conns_per_client"},
	"add":          {asks, "it changes a set, which may be full"},
	"update":       {asks, "it changes a set, which may be full"},
	"delete":       {asks, "it changes a set"},
	"meta skuid":   {asks, "only packets of this host itself have an owner, and anyport takes none of these"},
	"meta skgid":   {asks, "only packets of this host itself have an owner, and anyport takes none of these"},
	"meta cgroup":  {asks, "only packets of this host itself have a cgroup, and anyport takes none of these"},
	"socket":       {asks, "the sockets of this host decide about it"},
	"iifgroup":     {asks, "groups of interfaces have no equal: name the interfaces"},
	"oif":          {asks, "anyport takes packets before they are routed"},
	"oifname":      {asks, "anyport takes packets before they are routed"},
	"oifgroup":     {asks, "anyport takes packets before they are routed"},
	"meta iiftype": {asks, "types of interfaces have no equal: name the interfaces"},
	"meta iifkind": {asks, "kinds of interfaces have no equal: name the interfaces"},
	"meta pkttype": {asks, "the type of a frame has no equal"},
	"meta length":  {asks, "the length of a packet has no equal in the match of a route"},
	"meta time":    {asks, "times have no equal in this match: see active"},
	"meta hour":    {asks, "times have no equal in this match: see active"},
	"meta day":     {asks, "times have no equal in this match: see active"},
	"meta random":  {asks, "chance has no equal: see weight and balance of origins"},
	"numgen":       {asks, "chance has no equal: see weight and balance of origins"},
	"jhash":        {asks, "a hash has no equal: see balance"},
	"symhash":      {asks, "a hash has no equal: see balance"},
	"ether":        {asks, "addresses of Ethernet have no equal"},
	"vlan":         {asks, "a VLAN has no equal: name its interface"},
	"ct mark":      {asks, "anyport reads no marks of conntrack"},
	"ct":           {asks, "of conntrack, anyport has only the state of a conn's first packet"},
	"fib":          {asks, "the routing table decides about it: of fib, only \"fib daddr type local\" has an equal"},
	"rt":           {asks, "the routing table decides about it"},
	"ipsec":        {asks, "IPsec has no equal in the match of a route"},
	"osf":          {asks, "the client's operating system has no equal"},
	"ip dscp":      {asks, "DSCP has no equal in the match of a route"},
	"ip6 dscp":     {asks, "DSCP has no equal in the match of a route"},
	"ip ttl":       {asks, "the TTL has no equal in the match of a route"},
	"ip6 hoplimit": {asks, "the hop limit has no equal in the match of a route"},
	"queue":        {unclear, "another program decides about its packets"},
	"synproxy":     {unclear, "the kernel answers in place of the daemon: anyport has SYN cookies"},
	"fwd":          {unclear, "it sends the packet to another interface"},
	"tcp flags":    {asks, "of the flags of TCP, anyport knows only that the first packet of a conn has SYN alone"},
	"ip frag-off":  {asks, "fragments have no equal"},
	"meta":         {asks, "this key of meta has no equal in the match of a route"},
	"tcp option":   {asks, "options of TCP have no equal"},
	"@th":          {asks, "anyport does not read what packets carry"},
	"@nh":          {asks, "anyport does not read what packets carry"},
	"@ih":          {asks, "anyport does not read what packets carry"},
	"@ll":          {asks, "anyport does not read what packets carry"},
}

// reasonOf returns why a statement or selector that begins so has no translation.
func reasonOf(text string) because {
	first, rest, _ := strings.Cut(text, " ")
	second, _, _ := strings.Cut(rest, " ")
	raw, _, _ := strings.Cut(first, ",")
	for _, key := range []string{first + " " + second, first, raw} {
		if b, known := reasonsOf[key]; known {
			return b
		}
	}
	if protocols[first] {
		return because{asks, "\"" + shorten(text) + "\" has no equal in the match of a route"}
	}
	return because{unclear, "\"" + shorten(text) + "\" is not understood"}
}

// extension is a part of a rule that is an extension of iptables. nft does not print its arguments.
func extension(kind, name string) statement {
	s := statement{verb: asks, text: "xt " + kind + " " + name}
	if kind == "match" && name == "comment" { // each packet matches it
		return statement{verb: nothing, text: s.text}
	}
	s.reason = "nft does not print the arguments of the iptables " + kind + " " + name +
		": import the output of iptables-save, or of ip6tables-save, for this table"
	if kind == "target" {
		s.verb = unclear
		if to, intercepts := map[string]verb{"TPROXY": tproxy, "REDIRECT": redirect, "DNAT": dnat}[name]; intercepts {
			s.verb = to
		}
	}
	return s
}

// shorten bounds what is kept of a text: sets may be long.
func shorten(text string) string {
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + " …"
	}
	return strings.Join(strings.Fields(text), " ")
}

// longestText keeps the report readable, and the memory of maps with many elements small.
const longestText = 400
