// Package shadow is `anyport run --shadow`: it steers nothing, and counts what anyport would do with
// the traffic that another proxy handles now, usually by TPROXY rules.
//
// It listens on a packet socket, which sees packets before the packet filter and the socket lookup do,
// on every device. A steering program could not see this traffic: sk_lookup does not run for a packet
// that a TPROXY rule has given a socket. Of each SYN, and of the first datagram of each flow, the table
// of the file says what anyport would do, and the answer that this host sends says what happens today.
// So no prefix needs to be local, no packet is delayed, and a bounded share of a core is used.
//
//	filter.go    which packets the kernel copies to the socket
//	packet.go    a packet → what it says about a conn or flow; pure
//	capture.go   the socket, and how much of it is read
//	follow.go    conns and flows that wait for an answer; pure
//	holder.go    which socket of this host has answered
//	count.go     verdicts, differences, and where there are most; pure
//	run.go       the process: log, config, admin socket, report
//	loop.go      its two goroutines: one reads packets, the other judges, and acts on signals
//	service.go   what it answers on the admin socket
//
// It does not know what only the steering counts (new_conns_per_second), nor whether an origin would
// answer.
package shadow
