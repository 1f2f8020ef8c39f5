// Package mailbox lets other goroutines run functions in an event loop, between two of its events
// (queue.go), so that the loop's state needs no lock; and asks loops whether they still turn (pulse.go).
package mailbox
