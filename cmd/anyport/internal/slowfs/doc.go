// Package slowfs runs file-system operations that may hang in the kernel, such as opening a file
// on a network mount whose server is down, so that the caller never waits longer than a limit.
//
// A hung operation cannot be cancelled: its goroutine and its thread stay until the kernel lets
// them go. So a [Worker] runs one operation at a time, and at most one thread hangs however
// often its callers try again.
package slowfs
