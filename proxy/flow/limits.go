package flow

import (
	"time"

	"anyport/proxy/quota"
)

// DefaultMaxFlows is how many flows a process may have where nothing says how many.
const DefaultMaxFlows = 1 << 18

// DefaultPatience is how long a question may wait for its answer before it is evicted for another
// of its client: most resolvers ask again after it.
const DefaultPatience = time.Second

// Limits is what one loop may hold.
type Limits struct {
	Flows     *quota.Quota
	Sockets   SocketQuota  // flows that own a socket, and sockets that flows share
	PerClient ClientLimits // max_flows_per_client of the routes that say 0
}

// ClientLimits are the flows that one client may hold.
type ClientLimits struct{ WithSocket, Without int } // flows that own a socket, and the others

func (l ClientLimits) of(k kind) int {
	if k == owning {
		return l.WithSocket
	}
	return l.Without
}

// clientPart is the part of all flows that one client may hold on the routes that do not say
// otherwise: one in sixteen.
const clientPart = 16

// ClientLimitsOf are those of a process that may hold a number of flows, and of sockets for flows.
// The kernel chooses the worker by the client's address, or by the /64 of an IPv6 address
// (bpf/assign.h): all flows of a client are in one loop, so each loop counts only its own.
func ClientLimitsOf(flows, sockets int) ClientLimits {
	return ClientLimits{WithSocket: max(1, min(flows, sockets)/clientPart), Without: max(1, flows/clientPart)}
}

// reservedPart is the part of a limit that is divided among the loops beforehand: one in eight.
const reservedPart = 8

// Divide makes the quotas of all loops, which together hold most.
func Divide(most, loops int) []*quota.Quota {
	return quota.Divide(most/reservedPart, loops, quota.NewPool(most-most/reservedPart))
}

// SocketQuota bounds the sockets of flows by what each of them takes: a local port and a file.
type SocketQuota struct{ Ports, Files *quota.Quota }

// Take takes a port and a file, or neither.
func (q SocketQuota) Take() bool {
	if !q.Ports.Take(1) {
		return false
	}
	if !q.Files.Take(1) {
		q.Ports.Give(1)
		return false
	}
	return true
}

// Insist takes a port and a file in any case.
func (q SocketQuota) Insist() {
	q.Ports.Insist(1)
	q.Files.Insist(1)
}

// Full reports whether Take would take nothing.
func (q SocketQuota) Full() bool { return q.Ports.Full() || q.Files.Full() }

// Ample reports whether there are ports and files for sockets that no flow needs: see quota.Quota.Ample.
func (q SocketQuota) Ample() bool { return q.Ports.Ample() && q.Files.Ample() }

// Give gives back a port and a file.
func (q SocketQuota) Give() {
	q.Ports.Give(1)
	q.Files.Give(1)
}
