// Package top is the terminal program of `anyport top`: views of the routes, the origins and the live flows of
// a running anyport, with sorting, filtering, scrolling and an order to kill.
//
// press.go decides what a key does, rows.go which rows of a table are shown and draw.go what the screen shows, all
// from the state in model.go: they are pure. keys.go reads keys from the bytes of a terminal, terminal.go owns the
// terminal, and run.go is the loop that joins them.
package top
