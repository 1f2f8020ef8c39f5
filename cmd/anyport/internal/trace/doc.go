// Package trace shows what the kernel and the proxy decide as it happens, for `anyport trace`. A [Hub] joins
// the events of both and gives each [Tracer] those that its filter selects. While there is no tracer, neither
// the kernel nor the proxy makes any event.
//
//	hub.go     who traces now; what the kernel and the proxy are asked for
//	tracer.go  the events of one reader: bounded, in the order of time
//	event.go   an event as a line of the admin API
//
// It does not read requests or write answers: package api does.
package trace
