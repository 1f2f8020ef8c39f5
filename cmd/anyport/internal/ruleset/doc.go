// Package ruleset is what a packet filter does with new conns and datagrams, in one form for
// iptables and nftables. The parsers (packages iptables and nftables) make it; a [Walker] goes
// through it as the kernel does, rule by rule, and serves as the oracle for what is compiled from it.
//
//	ruleset.go   tables, chains, rules
//	condition.go what a rule asks of a packet
//	index.go     finds the tuples of a large set by an address
//	walk.go      what happens to one packet, rule by rule in step.go
//	named.go     whether a rule is for some dsts only
//	owner.go     the chains that other programs keep
//
// It holds the whole of what was read: a rule without a translation keeps its text and the reason.
package ruleset
