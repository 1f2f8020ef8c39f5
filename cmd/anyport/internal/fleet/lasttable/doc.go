// Package lasttable keeps the last table of a fleet that was in service in the state directory, for a start while
// the source is away.
package lasttable
