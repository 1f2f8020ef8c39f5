// Package fleettest has a fleet.Store in memory, for tests: leases end when the test says so, and
// the store can be away.
package fleettest
