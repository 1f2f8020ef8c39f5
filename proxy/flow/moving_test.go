package flow_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"anyport/config"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// travel is what becomes of flows on their way.
func travel(t *testing.T, flows []flow.Moving) (arrived []flow.Moving) {
	t.Helper()
	text, err := json.Marshal(flows)
	check(t, err)
	check(t, json.Unmarshal(text, &arrived))
	for i := range arrived {
		arrived[i].FD = flows[i].FD
	}
	return arrived
}

// TestMoveAndRestore plays at random, and checks that the table that restores the flows is the same as
// the one that they left.
func TestMoveAndRestore(t *testing.T) {
	for _, protocol := range []config.ProxyProtocol{config.ProxyOff, config.ProxyV2, config.ProxyV2First, config.ProxySPP} {
		r := to(originAddr, backupAddr)
		r.ProxyProtocol, r.Balance, r.MaxConnsPerClient = protocol, config.RoundRobin, 1000
		begunAt := func(epoch time.Time) func(*flow.Options) { return func(opt *flow.Options) { opt.Epoch = epoch } }
		old := newTestLoop(200, live(r, dst1, dst2, dst6), begunAt(time.Unix(1000, 7)))
		next := newTestLoop(200, live(r, dst1, dst2, dst6), begunAt(time.Unix(2000, 3)))
		play(t, old)
		flows := travel(t, old.moving(3))
		if len(flows) != old.Len() {
			t.Fatalf("%d flows exported of %d", len(flows), old.Len())
		}
		for _, f := range flows {
			check(t, f.Check(4))
			next.adopt(f)
		}
		if diff := cmp.Diff(ordered(flows), ordered(travel(t, next.moving(3))), cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateApproxTime(time.Minute)); diff != "" {
			t.Errorf("%v: -old +new:\n%s", protocol, diff)
		}
		for f := range old.All {
			old.closeSockets(f)
			old.Remove(f)
		}
		checkNothingLeft(t, old)
		if records := append(old.records, next.records...); len(records) > 0 {
			t.Errorf("%v: a flow that goes on was written down: %v", protocol, records)
		}
		next.endAll(route.IdleTimedOut, 1)
		checkNothingLeft(t, next)
	}
}

// ordered puts the answered flows, whose order means nothing, into one. The others
// come first, in theirs.
func ordered(flows []flow.Moving) []flow.Moving {
	unanswered := slices.IndexFunc(flows, func(f flow.Moving) bool { return f.Answered })
	slices.SortFunc(flows[unanswered:], func(a, b flow.Moving) int { return a.Client.Compare(b.Client) })
	return flows
}

// play begins flows and has some of them answered, some of these with the client shown.
func play(t *testing.T, f *testLoop) {
	t.Helper()
	for i := range 100 {
		client, dst := netip.AddrPortFrom(client1.Addr(), uint16(4001+i)), []netip.AddrPort{dst1, dst2}[i%2]
		if i%10 == 0 {
			client, dst = netip.AddrPortFrom(client6.Addr(), uint16(4001+i)), dst6
		}
		now := time.Duration(i) * time.Second
		got, verdict := f.datagram(flow.KeyOf(client, dst), 100+i, now)
		if verdict != route.Forwarded {
			t.Fatal(verdict)
		}
		got.Sockets.opened = i
		if rand.IntN(2) == 0 {
			got.Settle(route.ToOrigin, route.Forwarded, 1, 100+i)
			header := got.AppendHeader(nil)
			f.FromOrigin(got, append(header, 1, 2, 3), now+1)
		}
		if rand.IntN(2) == 0 {
			f.datagram(flow.KeyOf(client, dst), 1, now+2)
		}
	}
}

// TestRestoreStages: turns and the order in which flows give way travel; a flow that is shown
// to a version that asked for one turn stays so.
func TestRestoreStages(t *testing.T) {
	r := to(originAddr)
	r.AntiAmplification = true
	old, next := newTestLoop(10, live(r, dst1)), newTestLoop(10, live(r, dst1))
	keys := many(client1, 4)
	for i, k := range keys {
		old.datagram(k, 100, 1)
		for turn := range i * 3 { // 0, 3, 6, 9
			old.FromOrigin(old.Find(k), nil, 2)
			if turn > 0 { // the last word is the origin's
				old.datagram(k, 1, 3)
			}
		}
	}
	for _, f := range travel(t, old.moving(0)) {
		next.adopt(f)
	}
	for _, k := range keys {
		now := time.Now()
		was, is := old.Moving(old.Find(k), now), next.Moving(next.Find(k), now)
		if old.Find(k).Stage() != next.Find(k).Stage() || was.Turns != is.Turns || was.Heard != is.Heard {
			t.Errorf("%v: %+v became %+v", k.Client.Port, was, is)
		}
	}
	if a, b := old.NextEvicted().Key, next.NextEvicted().Key; a != b {
		t.Errorf("%v is evicted first, after the move %v", a, b)
	}
	var former flow.Moving
	check(t, json.Unmarshal([]byte(`{"client":"198.51.100.9:1","dst":"192.0.2.1:53","route":"test","origin":"10.0.0.5:9000","answered":true,"shown":true}`), &former))
	next.adopt(former)
	if f := next.Find(former.Key()); f.Stage() != flow.Validated {
		t.Errorf("a flow of a former version that was shown: %+v", f)
	}
	next.endAll(route.IdleTimedOut, 1)
	checkNothingLeft(t, next)
}

// TestRestoreFormerOrigin: a flow stays with an origin that has left the file.
func TestRestoreFormerOrigin(t *testing.T) {
	f := newTestLoop(10, live(to(backupAddr), dst1))
	f.adopt(flow.Moving{Client: client1, Dst: dst1, Route: "test", Origin: originAddr, FD: -1})
	got, verdict := f.datagram(flow.KeyOf(client1, dst1), 1, 2)
	if verdict != route.Forwarded || got.OriginAddr() != originAddr {
		t.Errorf("%v by %v, want the origin that it began with, %v", verdict, got.OriginAddr(), originAddr)
	}
	f.endAll(route.IdleTimedOut, 3)
	checkNothingLeft(t, f)
}

// FuzzRestore reads what another version might send.
func FuzzRestore(f *testing.F) {
	good, err := json.Marshal(flow.Moving{Client: client1, Dst: dst1, Route: "test", Origin: originAddr, Header: []byte("header"), SPP: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"route":"test","client":"1.2.3.4:0"}`))
	f.Add([]byte(`{"route":"test","client":"[fe80::1%eth0]:1","dst":"[::ffff:1.2.3.4]:5","listener":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var in flow.Moving
		if json.Unmarshal(text, &in) != nil || in.Check(1) != nil {
			return
		}
		in.FD = -1
		table := newTestLoop(10, live(to(originAddr), dst1))
		table.adopt(in)
		table.adopt(in) // once more is one too many
		if table.Len() > 1 {
			t.Fatalf("%d flows of one", table.Len())
		}
		for f := range table.All {
			table.FromOrigin(f, []byte("reply"), 2)
		}
		table.expire(1 << 62)
		checkNothingLeft(t, table)
	})
}
