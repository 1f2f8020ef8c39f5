// Package capabilities reads what processes may do, capabilities(7): the one reader for the
// steering, for the commands, and for what anyport believes of other processes.
package capabilities
