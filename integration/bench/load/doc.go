// Package load is the client and the origin of the benchmarks: what asks, what
// answers, and what is measured meanwhile. Both copy every byte they read into
// memory of their own, as real programs do.
package load
