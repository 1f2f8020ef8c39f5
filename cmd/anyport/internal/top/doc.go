// Package top is the terminal program of `anyport top`: views of the routes, the origins and the live flows of
// a running anyport, with sorting, filtering, scrolling and an order to kill.
//
// model.go decides what a key does and draw.go what the screen shows: both are pure. keys.go reads keys from
// the bytes of a terminal, terminal.go owns the terminal, and run.go is the loop that joins them.
package top
