// Package panics ends the process at the panic of a goroutine that has deferred calls.
package panics
