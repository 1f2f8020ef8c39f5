// Package nftables reads what nft prints of a ruleset, as JSON or as text, into the common form of
// package ruleset. Both readers make the same tree of statements and expressions, in the schema that
// libnftables has for JSON; one translation then serves for both. It knows what nft 1.0.6 of Debian
// 12 prints, and what 1.1 does.
//
//	parse.go      Parse: which of the two forms it is
//	tree.go       tables, chains, sets, rules, statements, expressions as they were read
//	lexer.go      text → tokens
//	text.go       tokens → tables and their parts; textchain.go, textset.go
//	textrule.go   tokens → statements; textexpr.go → expressions; textnat.go → nat and tproxy
//	json.go       JSON → tables and their parts
//	jsonrule.go   JSON → statements; jsonexpr.go → expressions
//	print.go      expressions and statements of JSON → text
//	combine.go    ParseBoth: one ruleset in both forms
//	translate.go  tables → chains of package ruleset
//	rule.go       one rule: a split in several where it has maps; mark.go, target.go
//	match.go      what a rule asks → conditions
//	field.go      selectors → fields; values.go their values
//	reasons.go    why a statement has no translation
//
// What is not understood never gets lost: the rule has the conditions that are understood, and the
// reason. The package follows no jumps.
package nftables
