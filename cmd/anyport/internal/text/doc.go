// Package text writes the answers of a running anyport for people: tables for a terminal or a file.
// Programs read --json, which is the types of package admin.
//
//	status.go   anyport status
//	flows.go    anyport flows
//	top.go      anyport top: what came and went between two samples
//	orders.go   reload, drain and upgrade
//	screen.go   a terminal that shows one picture over the other
//	words.go    counts, sizes and times
//
// The functions only write: they take what the client has received.
package text
