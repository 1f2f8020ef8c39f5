// Package fdbudget divides the file descriptors that the process may open: what the process needs for
// itself comes first, and conns and flows share the rest.
//
// Each descriptor that traffic can cause to be opened is taken from a [quota.Quota] before. So neither
// idle conns nor a flood of flows can use up what the admin socket, the log, a reload, a health check
// or an upgrade needs, and neither can take all of the other's. The package only computes; the limit
// is set elsewhere.
package fdbudget
