package udp

import (
	"time"

	"anyport/proxy/call"
	"anyport/proxy/fdbudget"
	"anyport/proxy/flow"
	"anyport/proxy/quota"
)

// MaxSockets is how many sockets of flows the local ports allow: each takes one. A quarter of the
// ports stays free, because the kernel needs milliseconds to find one among the last.
func MaxSockets() int { return call.LocalPorts().Width() * 3 / 4 }

// MostPerClient is how many flows one client may hold on routes that do not say: of those with a
// socket of their own, and of the others.
func MostPerClient(flows, sockets int) (withSocket, without int) {
	most := flow.ClientLimitsOf(flows, sockets)
	return most.WithSocket, most.Without
}

// loopLimits is what a loop may hold, and what it has in common with the others.
type loopLimits struct {
	flow.Limits
	replyFiles *quota.Quota
	replyAddrs *flow.ReplyAddrs
	budgets    *flow.Budgets
	epoch      time.Time
}

// divideLimits makes the limits of all loops: an eighth of the flows and sockets is divided among them,
// the rest belongs to the loop that asks first, because the clients of one loop may be most of all.
func divideLimits(opt Options) (all []loopLimits) {
	loops, most, budget, maxSockets := len(opt.Listeners), opt.MaxFlows, opt.Files, MaxSockets()
	if most == 0 {
		most = flow.DefaultMaxFlows
	}
	if budget == nil {
		budget = &fdbudget.Shares{Flows: make([]*quota.Quota, loops), Replies: make([]*quota.Quota, loops), MostFlows: maxSockets}
	}
	flows, ports := flow.Divide(most, loops), flow.Divide(maxSockets, loops)
	addrs, budgets, epoch := &flow.ReplyAddrs{}, flow.NewBudgets(flow.BudgetSlots), time.Now()
	perClient := flow.ClientLimitsOf(most, min(maxSockets, budget.MostFlows))
	for i := range loops {
		all = append(all, loopLimits{
			Limits:     flow.Limits{Flows: flows[i], Sockets: flow.SocketQuota{Ports: ports[i], Files: budget.Flows[i]}, PerClient: perClient},
			replyFiles: budget.Replies[i], replyAddrs: addrs, budgets: budgets, epoch: epoch,
		})
	}
	return all
}
