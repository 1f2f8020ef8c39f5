// Package fleet has conns survive when routers send their packets to another host of the fleet. The
// programs of fleet.bpf.c wrap a TCP packet whose conn this host does not have, and send it to the
// peers; the peer that has the conn takes it. Package fleet loads the programs, attaches them, and
// speaks with the fleets of the peers: who is alive (hello), and who has a conn (mine, gone).
//
// A UDP flow may begin with any datagram, and only the proxy knows its flows. So the proxy asks by Seek, and
// holds the datagram until the answer. Later ones of the flow are sent on by the program.
//
// A tag proves that a packet is a peer's: SipHash with the key that all hosts have. Who can listen on the
// backplane may send a packet again, but not change one.
//
//	fleet.go        the type Fleet: opens, speaks, goes to another process, ends
//	set.go          options come into force
//	options.go      what these are; status.go: how it stands
//	members.go      who is alive, silence.go: whose kernel is; pure
//	jury.go         what of that the programs know
//	message.go      what hosts tell each other, as bytes; pure; siphash.go: its tag
//	flows.go        UDP flows: shown to the peers, sought there; seeking.go: the questions, pure
//	datagram.go     a datagram on its way to a peer; buckets.go: how many questions there may be; pure
//	speak.go        the goroutines: greet, receive, tell
//	update.go       what the programs are to know, and the devices that they are attached to
//	neighbours.go   how packets leave for a peer; socket.go: the socket of messages
//	objects.go      the programs and maps in the kernel; descriptors.go: on their way
package fleet
