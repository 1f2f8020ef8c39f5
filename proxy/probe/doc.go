// Package probe runs active checks of origins: it connects, asks and waits for answers. What the
// results mean is decided in [anyport/proxy/health].
//
//	check.go      what a check is, and one check from beginning to end
//	talk.go       what the types of checks say to an origin
//	runner.go     all checks: when each is due, and who is told
//	schedule.go   the order in which they are due
//
// Routes whose checks are equal share them. There is no goroutine for a check that waits: one goroutine
// starts those that are due, up to a limit that the file descriptors set.
package probe
