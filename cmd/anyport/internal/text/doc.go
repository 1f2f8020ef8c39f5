// Package text writes the answers of a running anyport for people: tables for a terminal or a file.
// Programs read --json, which is the types of package admin.
//
//	status.go   anyport status: status_routes.go, status_origins.go and one file for each other part
//	live.go     anyport top, from rates.go: routes.go, origins.go
//	flows.go    anyport flows
//	orders.go   reload, drain and upgrade
//	grid.go     tables
//	words.go    counts and sizes; times.go times and rates
//
// The functions only write: they take what the client has received.
package text
