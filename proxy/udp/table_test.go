package udp

import (
	"log/slog"
	"net/netip"
	"time"

	"anyport/proxy/datagram"
	"anyport/proxy/flow"
	"anyport/proxy/quota"
	"anyport/proxy/route"
)

// testTable is a table whose flows have no origin sockets, and replies that open none.
type testTable struct {
	*flowTable
	routes  *route.Live
	replies *replies
}

func newTestTable(most int, l *route.Live) *testTable {
	addrs := &flow.ReplyAddrs{}
	noSocket := func(netip.AddrPort) (datagram.ReplySocket, error) { return datagram.ReplySocket{}, nil }
	return &testTable{
		flowTable: flow.NewTable[flowSockets](flow.Options{
			Routes: l, Budgets: flow.NewBudgets(16), Replies: addrs,
			Limits: flow.Limits{
				Flows: flow.Divide(most, 1)[0], Sockets: flow.SocketQuota{Ports: flow.Divide(most, 1)[0]},
				PerClient: flow.ClientLimits{WithSocket: most, Without: most},
			},
			Log: slog.New(slog.DiscardHandler),
		}),
		routes:  l,
		replies: newReplies(quota.New(100, quota.NewPool(0)), addrs, noSocket, func(int) {}),
	}
}

// datagram is n bytes of payload from a client; nil where they are not forwarded. Nothing may have
// to be evicted.
func (t *testTable) datagram(k flow.Key, n int, now time.Duration) *liveFlow {
	f := t.Find(k)
	if f == nil {
		a := flow.Admission[flowSockets]{Key: k}
		if evict, _ := t.Admit(&a, now); evict != nil || a.Flow == nil {
			return nil
		}
		f = a.Flow
		f.Sockets.reply, _ = t.replies.acquire(f.Dst())
		t.PickOrigin(f, nil, now)
		t.Insert(f)
	}
	if t.FromClient(f, n, now) != route.Forwarded {
		return nil
	}
	return f
}

func (t *testTable) end(f *liveFlow, now time.Duration) {
	t.replies.release(f.Sockets.reply)
	t.End(f, netip.AddrPort{}, route.IdleTimedOut, now)
}

var (
	originAddr = netip.MustParseAddrPort("10.0.0.5:9000")
	backupAddr = netip.MustParseAddrPort("10.0.0.6:9000")
	dst1       = netip.MustParseAddrPort("192.0.2.1:53")
	dst2       = netip.MustParseAddrPort("192.0.2.2:53")
	client1    = netip.MustParseAddrPort("198.51.100.1:4000")
	client2    = netip.MustParseAddrPort("198.51.100.2:4000")
)
