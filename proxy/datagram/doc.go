// Package datagram reads and sends UDP datagrams in batches, with the control messages
// from and to the kernel beside each of them. It knows sockets and bytes, and nothing of flows, clients or routes.
//
//	receive.go, control.go   read a batch (recvmmsg); the dst, size and TOS of each message
//	send.go, cmsg.go         send a batch (sendmmsg), neighbours of one size as one train
//	train.go                 trains: several datagrams that cross the kernel as one
//	mmsg.go                  the system calls
//	dial.go, connect.go      sockets to origins, and what they are bound and connected to
//	reply.go, raw.go         sockets that answer from a dst, bound or raw
//	icmp.go                  ICMP errors, from the error queue of a socket
//	tos.go, options.go       options of sockets
//
// No call waits. A batch and a [Dialer] belong to one event loop, and so to one goroutine; a [Raw]
// may be used by all loops at once.
package datagram
