// Package health decides whether an origin takes new conns and flows, from what active checks find,
// what dials find, and what the operator has ordered.
//
// It has no I/O, no clock and no goroutine: every function takes the state before and the time now,
// and returns the state after. [anyport/proxy/origin] keeps the states and picks by them;
// [anyport/proxy/probe] runs the checks.
//
//	verdict.go   what an origin is at one moment, and why: one word for log, metric and test
//	checks.go    rise and fall
//	ejection.go  failed dials in a row
//	state.go     what is known of an origin, and the verdict that follows from it
package health
