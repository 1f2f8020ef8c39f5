package fdbudget

import (
	"fmt"

	"anyport/proxy/quota"
)

// Budget is a division of the files that the process may open. It does not change after Divide.
type Budget struct {
	Limit   int // RLIMIT_NOFILE
	Process int // held by the process itself: maps, listeners, event loops
	Reserve int // left for what the process opens later

	// What each use always has. Common is for the use that asks first.
	TCP     int // conns: two each, and two for each pipe
	Flows   int // sockets to origins
	Replies int // sockets that answer from a dst
	Common  int
}

// The reserve. An upgrade needs most of it: three for the stream to the new process, and about 25 for
// another steering program and its maps, if the command brings one. Admin and health need one for
// each concurrent request.
const (
	leastReserve = 64
	mostReserve  = 1024
	reservePart  = 64 // of the limit
)

// leastTraffic is the smallest rest with which the process starts.
const leastTraffic = 64

// Divide makes the budget of a process that may open limit files, of which it needs process for itself
// all the time.
func Divide(limit, process int) (Budget, error) {
	b := Budget{Limit: limit, Process: process, Reserve: min(max(limit/reservePart, leastReserve), mostReserve)}
	rest := limit - b.Process - b.Reserve
	if rest < leastTraffic {
		return b, fmt.Errorf("%d open files are too few: anyport needs %d itself, and %d at least for conns and flows: raise LimitNOFILE= or ulimit -n",
			limit, b.Process+b.Reserve, leastTraffic)
	}
	// One client may hold a sixteenth of all that flows can have (max_flows_per_client): that is
	// less than the flows' own part.
	b.TCP, b.Flows, b.Replies = rest/8, max(rest/16, min(rest/8, 32)), max(rest/64, min(rest/16, 16))
	b.Common = rest - b.TCP - b.Flows - b.Replies
	return b, nil
}

// Fit is the budget of such a process once it runs, whatever its limit is by now: where Divide would refuse,
// there is nothing for conns and flows but what they hold.
func Fit(limit, process int) Budget {
	b, err := Divide(limit, process)
	if err != nil {
		b.Reserve = max(0, min(b.Reserve, limit-process))
	}
	return b
}

// Shares are the quotas of the event loops.
type Shares struct {
	common *quota.Pool

	TCP     []*quota.Quota // one a loop; nil: no bound
	Flows   []*quota.Quota // one a loop
	Replies []*quota.Quota // one a loop

	MostFlows int // files that all loops may hold for sockets of flows
}

// Shares divides the budget among loops.
func (b Budget) Shares(tcpLoops, udpLoops int) *Shares {
	common := quota.NewPool(b.Common)
	return &Shares{
		common:  common,
		TCP:     quota.Divide(b.TCP, tcpLoops, common),
		Flows:   quota.Divide(b.Flows, udpLoops, common),
		Replies: quota.Divide(b.Replies, udpLoops, common),

		MostFlows: b.Flows + b.Common,
	}
}

// Change divides another budget among the loops while they run. Calls must not race.
func (s *Shares) Change(to Budget) {
	common := to.Common
	common += quota.Redivide(s.TCP, to.TCP)
	common += quota.Redivide(s.Flows, to.Flows)
	common += quota.Redivide(s.Replies, to.Replies)
	s.common.Resize(common)
}

// Use is one use of files.
type Use struct {
	Held int
	Own  int // what it always has
	Most int // with all of the common part
}

// Used is how much of the budget is in use at a moment.
type Used struct {
	Process int // held by the process itself
	Reserve int // kept for what the process opens later
	TCP     Use
	Flows   Use
	Replies Use
}

// Used returns how much of the budget the loops hold now.
func (b Budget) Used(s *Shares) Used {
	use := func(own int, loops []*quota.Quota) Use {
		u := Use{Own: own, Most: own + b.Common}
		for _, q := range loops {
			u.Held += q.Held()
		}
		return u
	}
	return Used{
		Process: b.Process, Reserve: b.Reserve,
		TCP: use(b.TCP, s.TCP), Flows: use(b.Flows, s.Flows), Replies: use(b.Replies, s.Replies),
	}
}

// All is the number of files in use, without those of the reserve.
func (u Used) All() int { return u.Process + u.TCP.Held + u.Flows.Held + u.Replies.Held }
