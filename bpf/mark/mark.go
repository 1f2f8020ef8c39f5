// Package mark has the two marks (SO_MARK, fwmark) by which the kernel delivers to this host what
// origins send to the clients of routes with transparent. It has no code, so that package proxy
// can use it without BPF.
package mark

const (
	// Socket is on the sockets that dial origins from the address of a client.
	Socket = 0xa9aa
	// Packet is what mark_returning puts on a packet that such a socket takes. The routing rule is
	// for this mark.
	Packet = 0xa9a9
)
