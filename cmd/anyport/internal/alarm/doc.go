// Package alarm waits for a time of the clock on the wall, and for somebody to set that clock: a
// timer of Go's runs by the monotonic clock, and would come too late or too early then.
package alarm
