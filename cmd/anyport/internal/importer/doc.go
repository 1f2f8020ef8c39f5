// Package importer makes routes of the rules that bring packets to another proxy: TPROXY, REDIRECT
// and DNAT, of iptables and nftables. Rules go by the first match, routes by the longest prefix and
// then the narrowest range of ports. The package finds all packets that the rules distinguish,
// walks each kind of them through the rules, and writes routes for what it finds.
//
//	importer.go Import: a ruleset → a draft with a report
//	classes.go  the values of each field that no rule tells apart
//	compile.go  all kinds of packets, one walk for each
//	elsewhere.go dsts that the main table routes to other hosts
//	outside.go  rules that also take dsts outside of --prefix
//	outcome.go  walks → what a route does with a kind of packets; what has no equal
//	clients.go  classes of srcs → allow and deny
//	prefixes.go classes of dsts → prefixes, of which the longest holds
//	routes.go   prefixes and ports → routes; names.go names them
//	origins.go  which origins a route gets
//	write.go    routes → a draft
//	report.go   rule by rule: its routes, or why it is left; text.go prints that
//	verify.go   random packets: the rules against the table of the routes; verify_packets.go makes them
//	script.go   the steps of the switch, and back; policy.go is the routing by mark
package importer
