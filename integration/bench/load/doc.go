// Package load is the client and the origin of the benchmarks: what asks, what
// answers, and what is measured meanwhile. Both copy every byte they read into
// memory of their own, as real programs do.
//
//	job.go                          a measurement, its result, and the list of kinds
//	connect.go, pingpong.go, hold.go, bulk.go          the kinds of TCP
//	udp_echo.go, udp_paced.go, udp_flows.go, udp_bulk.go   the kinds of UDP
//	asker.go, crowd.go              UDP questions, their answers and their losses
//	flood.go                        datagrams from forged sources beside a measurement
//	measure.go, meter.go, memory.go the measured time, CPU and memory
//	origin.go, origin_udp.go, echo_tcp.go   the origin
//	batch.go, datagrams.go, call.go, poller.go   system calls
package load
