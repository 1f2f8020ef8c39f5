package nftables

import "strings"

// target reads "tproxy ip to 127.0.0.1:80", "redirect to :80", "dnat ip to tcp dport map @m".
func (c *cursor) target() statement {
	s := statement{verb: map[string]verb{"tproxy": tproxy, "redirect": redirect, "dnat": dnat}[c.take()]}
	if inetFamily(c.look(0)) && !protocolField(c.look(1)) {
		s.family = c.take()
	}
	var netmap bool
	for !c.skip("to") {
		if !targetWords[c.look(0)] {
			c.targetFlags()
			return s // "redirect" alone
		}
		netmap = c.take() == "prefix" || netmap
	}
	c.destination(&s)
	c.targetFlags()
	if netmap {
		s.reason = netmapReason
	}
	return s
}

var targetWords = setOf("addr . port prefix interval")

func protocolField(word string) bool { return word == "daddr" || word == "saddr" }

// destination reads where to: an address, a port, or maps of these.
func (c *cursor) destination(s *statement) {
	first := c.look(0)
	if port, is := strings.CutPrefix(first, ":"); is && protocols[port] && c.look(2) == "map" {
		key := &expression{kind: selector, text: port + " " + c.look(1)}
		c.words(3)
		s.port = &expression{kind: lookup, args: []*expression{key, c.valueOrNothing()}}
		return
	}
	if key := c.selectors(); key != nil {
		c.skip("map")
		s.address = &expression{kind: lookup, args: []*expression{key, c.valueOrNothing()}}
		if port, is := strings.CutPrefix(c.look(0), ":"); is {
			c.take()
			s.port = word(port)
		}
		return
	}
	if c.kind() != 'w' || natFlags[first] {
		s.reason = lostReason
		return
	}
	address, port := splitPort(c.take())
	if address != "" {
		s.address = word(address)
	}
	if port != "" {
		s.port = word(port)
	}
}

// targetFlags skips "random,persistent".
func (c *cursor) targetFlags() {
	for natFlags[c.look(0)] || c.kind() == ',' {
		c.take()
	}
}

var natFlags = setOf("random fully-random persistent")

// splitPort parts "10.0.0.1-10.0.0.9:80", "[2001:db8::1]:80", "2001:db8::1" and ":80". It takes the
// brackets off.
func splitPort(text string) (address, port string) {
	address = text
	colon := strings.LastIndexByte(text, ':')
	if bracket := strings.LastIndexByte(text, ']'); bracket >= 0 && colon < bracket || bracket < 0 && strings.Count(text, ":") > 1 {
		colon = -1
	}
	if colon >= 0 {
		address, port = text[:colon], text[colon+1:]
	}
	return strings.NewReplacer("[", "", "]", "").Replace(address), port
}
