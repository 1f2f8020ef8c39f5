// Package iptables reads what iptables-save and ip6tables-save print, of iptables-nft and
// iptables-legacy, into the form of package ruleset. Sets come from a text of `ipset save`.
//
//	parse.go   lines: tables, chains, rules
//	words.go   a line → words
//	rule.go    the words of a rule, option by option
//	options.go the table of options: matches
//	targets.go the table of targets, and their options
//	reasons.go why a match or target has no equal
//	ipset.go   sets
//	values.go  addresses, ports, marks
//
// An option that is not understood makes the rule unknown ([ruleset.Rule].Unknown). The conditions
// that were understood stay: they bound what the rule can match.
package iptables
