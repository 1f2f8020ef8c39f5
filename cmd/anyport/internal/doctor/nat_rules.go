package doctor

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"anyport/config"
	"anyport/config/form"
)

// translating are the targets of iptables that change dst in PREROUTING.
var translating = []string{"DNAT", "REDIRECT", "NETMAP"}

// iptablesNAT does not narrow a rule down beyond its match. Packets for a served address are of
// the type LOCAL.
var iptablesNAT = form.New(` (-m (multiport|addrtype)|--dst-type LOCAL|--d(estination-)?ports? [0-9,:]+|--(to-destination|to-ports|to) \S+|--(persistent|random|random-fully))( |$)`)

// natOfIptables reads what matters of a rule for NAT; rest is what iptablesPlain leaves of it.
func (r *chainRule) natOfIptables(family, line string, words []string, rest string) {
	r.match = match{family: family, dst: r.Dst, protocols: protocols(r.protocols), ports: ports(":", iptablesPorts(words))}
	if i := slices.Index(words, "-d"); i > 0 && i+1 < len(words) && words[i-1] == "!" {
		r.match.except = prefixes(words[i+1 : i+2])
	}
	for strings.TrimSpace(rest) != "" && iptablesNAT().MatchString(rest) {
		rest = iptablesNAT().ReplaceAllString(rest, " ")
	}
	r.tight = strings.TrimSpace(rest) != "" && !(len(r.match.except) > 0 && strings.TrimSpace(rest) == "!")
	for _, target := range after(words, "-j") {
		r.returns = target == "RETURN"
		if slices.Contains(translating, target) {
			r.nat = line[strings.Index(line, "-j ")+len("-j "):]
		}
	}
}

// iptablesPorts returns the ranges of --dport, or those of the match multiport.
func iptablesPorts(words []string) []string {
	for _, option := range []string{"--dport", "--dports"} {
		for _, word := range after(words, option) {
			return strings.Split(word, ",")
		}
	}
	return nil
}

// The parts of a rule as nft prints it. nftNAT is what does not narrow a rule beyond its match; a rule
// with anything else is tight.
var (
	nftPorts    = form.New(`\b(tcp|udp|th) dport (\{[^}]*\}|[0-9a-z-]+)`)
	nftExcept   = form.New(`\bip6? daddr != (\{[^}]*\}|[^\s{]+)`)
	nftFamily   = form.New(`\bmeta nfproto ipv([46])\b|\bdnat ip(6?) to\b`)
	nftTarget   = form.New(`\b(dnat|redirect)\b.*$`)
	nftNAT      = form.New(`\b(tcp|udp|th) dport (\{[^}]*\}|[0-9-]+)|\bip6? daddr != \S+|\bfib daddr type local\b|\bmeta nfproto ipv[46]\b|\breturn\b|\bcomment "[^"]*"`)
	nftBranches = form.New(`^(.*?)((?:(?:meta l4proto|ip protocol|ip6 nexthdr|(?:tcp|udp|th) dport|ip6? daddr) (?:\. )?)+)vmap (\{[^}]*\}|@\S+)`)
)

// natOfNft reads what matters of a rule for NAT.
func (r *chainRule) natOfNft(table string) {
	r.match = match{dst: r.Dst, protocols: protocols(r.protocols)}
	if family, _, _ := strings.Cut(table, " "); family == "ip" || family == "ip6" {
		r.match.family = family
	}
	for _, m := range nftFamily().FindAllStringSubmatch(r.Text, -1) {
		r.match.family = map[string]string{"4": "ip", "": "ip", "6": "ip6"}[m[1]+m[2]]
	}
	if m := nftPorts().FindStringSubmatch(r.Text); m != nil {
		r.match.ports = ports("-", members(m[2]))
		if m[1] != "th" {
			r.match.protocols = []string{m[1]}
		}
	}
	if m := nftExcept().FindStringSubmatch(r.Text); m != nil {
		r.match.except = prefixes(members(m[1]))
		r.match.dst = nil
	}
	r.nat = nftTarget().FindString(r.Text)
	r.returns = slices.Contains(strings.Fields(r.Text), "return")
	rest := nftNAT().ReplaceAllString(strings.TrimSuffix(r.Text, r.nat), "")
	r.tight = strings.TrimSpace(nftPlain().ReplaceAllString(rest, "")) != ""
}

// branches are the rules that a verdict map stands for, each with one element.
func (r chainRule) branches(table string, maps map[string]string) (all []chainRule) {
	m := nftBranches().FindStringSubmatch(r.Text)
	if m == nil {
		return nil
	}
	elements := m[3]
	if named, ok := maps[table+" "+elements]; ok {
		elements = named
	}
	fields := strings.Split(strings.TrimSpace(m[2]), " . ")
	for _, element := range members(elements) {
		key, verdict, ok := strings.Cut(element, " : ")
		values := strings.Split(strings.TrimSpace(key), " . ")
		if !ok || len(values) != len(fields) {
			continue
		}
		text := m[1]
		for i, field := range fields {
			text += strings.TrimSpace(field) + " " + values[i] + " "
		}
		family, name, _ := strings.Cut(table, " ")
		branch := nftRule(family+" "+name, "", text+verdict)
		branch.natOfNft(table)
		all = append(all, branch)
	}
	return all
}

// natOfNft returns the rules that change dst of packets for these prefixes.
func natOfNft(text string, served []netip.Prefix) (all []NAT) {
	set, starts := nftRules(text)
	for _, s := range starts {
		come := match{dst: served}
		switch family, _, _ := strings.Cut(s.chain, " "); {
		case s.kind != "nat prerouting":
			continue
		case family == "ip" || family == "ip6":
			come.family = family
		}
		w := natWalk{ruleset: set, start: s.chain, spare: "nft insert rule " + s.chain + " %[2]s daddr %[1]s accept"}
		all = append(all, w.walk(come)...)
	}
	return all
}

// unseen leaves out of more what nft prints of the tables of iptables, where iptables-save has
// printed those.
func unseen(before, more []NAT) []NAT {
	return slices.DeleteFunc(more, func(n NAT) bool {
		return slices.ContainsFunc(before, func(b NAT) bool { return n.Start == b.match.family+" "+b.Start })
	})
}

// protocols are the ones that can be served; none if any matches, or if that is not known.
func protocols(words []string) (all []string) {
	for _, word := range words {
		switch word {
		case "tcp", "6":
			all = append(all, "tcp")
		case "udp", "17":
			all = append(all, "udp")
		case "all", "0":
			return nil
		default:
			if strings.HasPrefix(word, "@") || strings.HasPrefix(word, "!") {
				return nil
			}
			all = append(all, word)
		}
	}
	return all
}

// ports returns none, for any port, if a word is neither a port nor a range of ports.
func ports(dash string, words []string) (all []config.PortRange) {
	for _, word := range words {
		first, last, isRange := strings.Cut(strings.TrimSpace(word), dash)
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		to, lastErr := strconv.ParseUint(last, 10, 16)
		if err != nil || lastErr != nil {
			return nil
		}
		all = append(all, config.PortRange{First: uint16(from), Last: uint16(to)})
	}
	return all
}
