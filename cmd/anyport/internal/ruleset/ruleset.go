package ruleset

import "net/netip"

// Ruleset is all that one file, or the live system, says.
type Ruleset struct {
	// Chains are all chains, in the order of the input. Chains that packets enter by themselves have a
	// hook.
	Chains []*Chain
	// Skipped are the tables of nftables that no packet for a socket of this host passes, as those of
	// the family bridge.
	Skipped []Skipped
}

// Chain is a list of rules, met in their order.
type Chain struct {
	Family   string // "ip", "ip6" or "inet"
	Table    string // "mangle", "nat", or as nftables names it
	Name     string
	Hook     string // "prerouting", "input", "output" …; "": only a rule leads here
	Kind     string // "filter", "nat", "route": the type of a base chain
	Priority int    // of a base chain, lower first; iptables: raw -300, mangle -150, nat dstnat -100
	Policy   Action // of a base chain: Accept or Drop
	Owner    string // the other program that keeps this chain, as "Docker"; "": somebody wrote it
	Rules    []*Rule
}

// Rule is one line, or one element of a verdict map.
type Rule struct {
	Number     int    // its position in the chain, from 1; the elements of one verdict map share it
	Line       int    // of the input, from 1; 0: not known
	Text       string // as it was written, without counters
	Comment    string
	Conditions []Condition // all must hold
	Action     Action
	Chain      string // Jump, Goto: the name of a chain of the same table
	To         Target // Intercept
	Continues  bool   // Intercept: the rules after it see the packet too, as after tproxy of nftables
	SetMark    *Mark  // it changes the packet's mark, whatever its action
	// Unknown is why no translation is for this rule: an option that was not understood, or one that
	// anyport has no equal for ("-m owner: …"). Such a rule may or may not match: see Walk.
	Unknown string
}

// Action is what a rule does with a packet that it matches.
type Action uint8

// The actions, each after the rule's mark is set.
const (
	Continue  Action = iota // the next rule (a counter, a mark, a log)
	Accept                  // no further rule of this base chain; the next base chain goes on
	Drop                    // silently
	Reject                  // with RST or ICMP
	Return                  // to the rule after the jump; at a base chain: its policy
	Jump                    // to Chain, and back at its end
	Goto                    // to Chain, and from its end to where the caller would return
	Intercept               // to a socket of this host: see Target
)

// Mechanism is how a rule brings a packet to a daemon.
type Mechanism uint8

// The mechanisms.
const (
	TProxy   Mechanism = iota // to a socket with IP_TRANSPARENT, dst unchanged
	Redirect                  // dst becomes an address of this host
	DNAT                      // dst becomes another address
)

// Target is where a rule sends a packet.
type Target struct {
	Mechanism Mechanism
	Address   netip.Addr // zero: TProxy, that of the packet's interface or dst; Redirect, of the interface
	Last      netip.Addr // DNAT to a range of addresses: its end, where Address is its begin; zero: one address
	Ports     Range      // 0-0: the packet's own port
}

// Mark is a change of a packet's mark: mark = mark &^ Mask ^ Value, as iptables' --set-xmark has it.
type Mark struct{ Value, Mask uint32 }

// Range is a range of numbers, both ends included.
type Range struct{ First, Last uint32 }

// Skipped is a table that the parser left out.
type Skipped struct {
	Family, Table string
	Rules         int
	Intercepts    bool // some of its rules take packets from their way
	Reason        string
}
