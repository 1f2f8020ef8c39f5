package udp

import (
	"time"

	"anyport/proxy/call"
	"anyport/proxy/fdbudget"
	"anyport/proxy/quota"
)

// maxFlows is how many flows there may be where nobody says.
const maxFlows = 1 << 18

// MaxSockets is how many flows with a socket of their own the local ports allow: each takes
// one. A quarter of the ports stays free, for the kernel needs milliseconds to find one
// among the last.
func MaxSockets() int { return call.LocalPorts().Width() * 3 / 4 }

// share is what a loop may hold, and what it has with the others.
type share struct {
	flows         *quota.Quota
	sockets       socketQuota
	replies       *quota.Quota // files
	voices        *voices
	budgets       *budgets
	mostPerClient [kinds]int
	epoch         time.Time
}

// newShares makes the shares of all loops.
func newShares(opt Options) (all []share) {
	loops, most, budget, maxSockets := len(opt.Listeners), opt.MaxFlows, opt.Files, MaxSockets()
	if most == 0 {
		most = maxFlows
	}
	if budget == nil {
		budget = &fdbudget.Shares{Flows: make([]*quota.Quota, loops), Replies: make([]*quota.Quota, loops), MostFlows: maxSockets}
	}
	flows, ports, voices := shareOut(most, loops), shareOut(maxSockets, loops), &voices{}
	budgets, epoch := newBudgets(budgetSlots), time.Now()
	for i := range loops {
		all = append(all, share{
			flows: flows[i], sockets: socketQuota{ports[i], budget.Flows[i]}, replies: budget.Replies[i], voices: voices,
			budgets: budgets, mostPerClient: mostPerClient(most, min(maxSockets, budget.MostFlows)), epoch: epoch,
		})
	}
	return all
}

// own is the part that is divided among the loops beforehand: one in eight.
const own = 8

// shareOut makes the quotas of all loops, which together hold most.
func shareOut(most, loops int) []*quota.Quota {
	return quota.Divide(most/own, loops, quota.NewPool(most-most/own))
}

// socketQuota bounds the sockets of flows by what each of them takes: a local port and a file.
type socketQuota struct{ ports, files *quota.Quota }

func (q socketQuota) take() bool {
	if !q.ports.Take(1) {
		return false
	}
	if !q.files.Take(1) {
		q.ports.Give(1)
		return false
	}
	return true
}

func (q socketQuota) insist() {
	q.ports.Insist(1)
	q.files.Insist(1)
}

func (q socketQuota) give() {
	q.ports.Give(1)
	q.files.Give(1)
}
