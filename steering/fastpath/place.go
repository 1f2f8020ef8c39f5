package fastpath

import (
	"sync/atomic"
	"time"

	"anyport/bpf"
	"anyport/bpf/fastflow"
	"anyport/steering/clock"
)

// usage is what the program counts of a flow in one direction: a part of the map fast_usage, which is
// mapped into this process. So what it says costs no system call.
type usage bpf.FastFlowUsage

// place is where a flow is counted. The id of toClient is that of toOrigin, and the state is only there.
type place struct{ toOrigin, toClient *usage }

// The values of usage.State. Processes that have the map in common, during an upgrade, see each other's.
const (
	unused  uint32 = iota
	single         // the flow has its entries
	sharing        // the same, and that of its answers belongs to other flows, too
	left           // its entries were removed
)

func (at place) id() uint64 { return atomic.LoadUint64(&at.toOrigin.Id) }

func (at place) state() uint32 { return atomic.LoadUint32(&at.toOrigin.State) }

func (at place) setState(to uint32) { atomic.StoreUint32(&at.toOrigin.State, to) }

// begin has the way count from zero, for the flow with this id.
func (u *usage) begin(id uint64) {
	u.Packets, u.Bytes, u.Mtu, u.Last = 0, 0, 0, uint64(clock.Monotonic())
	atomic.StoreUint64(&u.Id, id)
}

func (u *usage) count() fastflow.Count {
	return fastflow.Count{Packets: atomic.LoadUint64(&u.Packets), Bytes: atomic.LoadUint64(&u.Bytes)}
}

// count is what the program has counted, as of now by the program's clock.
func (at place) count(now time.Duration) fastflow.Usage {
	last := max(atomic.LoadUint64(&at.toOrigin.Last), atomic.LoadUint64(&at.toClient.Last))
	return fastflow.Usage{
		ToOrigin: at.toOrigin.count(),
		ToClient: at.toClient.count(),
		Quiet:    max(0, now-time.Duration(last)),
	}
}
