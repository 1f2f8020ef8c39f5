// Package flow decides what becomes of UDP flows and of their datagrams. A flow is the datagrams
// between one client's address and port and one dst: either of them differs, and it is another
// flow.
//
// All of it is memory and arithmetic: nothing here opens a socket, sends, waits or asks the clock.
// Each decision takes the time, and returns a [route.Verdict] or the flow that it is about; the
// caller, an event loop, does what follows. What the loop keeps of a flow is Flow.Sockets, of a
// type that only the loop knows.
//
//	flow.go            one flow: what is forwarded of it, and what is counted
//	lead.go            the header that goes before its datagrams
//	table.go           the flows of one loop: find, insert, end
//	admit.go           whether a datagram begins a flow, bound by bound
//	bounds.go          max_flows_per_client, the route's limits, the table's, the sockets'
//	evictionorder.go   which flow is evicted where a bound is reached,
//	evictionorders.go  among the flows of its kind, and of its route
//	fast.go            flows that the kernel forwards by itself: what it is asked, and has forwarded
//	fastreason.go      whether a flow may be one of them
//	fastremember.go    when the steering program has to be told that one lives
//	validation.go      whether a client has shown that its address is not forged
//	budget.go          what an unvalidated client may be sent beyond three times what it sent
//	life.go            when flows end: idle, drained, without a route after a reload
//	origin.go          which origin a flow goes to, and when it leaves one that refuses
//	reuse.go           whether the next flow may have the socket of an ended one
//	elsewhere.go       whether a datagram may be of a flow that another host has
//	moving.go          flows on their way to another process
//	limits.go          how many flows, sockets and flows a client a loop may hold
//	replyaddrs.go      the dsts that this process answers from
//	index.go           finds flows by their keys
//	list.go            flows for the list of live ones
//
// A [Table] belongs to one event loop: only its goroutine touches the table and the flows. What
// loops share is safe for concurrent use: [Budgets], [ReplyAddrs], quotas, routes and counters.
package flow
