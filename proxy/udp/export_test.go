package udp

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
)

// travel is what becomes of flows on their way.
func travel(t *testing.T, flows []Flow) (arrived []Flow) {
	t.Helper()
	text, err := json.Marshal(flows)
	check(t, err)
	check(t, json.Unmarshal(text, &arrived))
	for i := range arrived {
		arrived[i].FD = flows[i].FD
	}
	return arrived
}

// TestExportAndAdopt plays at random, and wants the table that adopts the flows to
// be the one that they left.
func TestExportAndAdopt(t *testing.T) {
	for _, protocol := range []config.ProxyProtocol{config.ProxyOff, config.ProxyV2, config.ProxyV2First, config.ProxySPP} {
		r := to(originAddr, backupAddr)
		r.ProxyProtocol, r.Balance, r.MaxConnsPerClient = protocol, config.RoundRobin, 1000
		old, next := newFakeTable(200, live(r, dst1, dst2, dst6)), newFakeTable(200, live(r, dst1, dst2, dst6))
		old.epoch, next.epoch = time.Unix(1000, 7), time.Unix(2000, 3)
		play(t, old)
		flows := travel(t, old.export(3))
		if len(flows) != len(old.flows) {
			t.Fatalf("%d flows exported of %d", len(flows), len(old.flows))
		}
		for _, f := range flows {
			check(t, f.Check(4))
			next.adopt(f, 1)
		}
		if diff := cmp.Diff(ordered(flows), ordered(travel(t, next.export(3))), cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateApproxTime(time.Minute)); diff != "" {
			t.Errorf("%v: -old +new:\n%s", protocol, diff)
		}
		old.leave()
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
func ordered(flows []Flow) []Flow {
	unanswered := slices.IndexFunc(flows, func(f Flow) bool { return f.Answered })
	slices.SortFunc(flows[unanswered:], func(a, b Flow) int { return a.Client.Compare(b.Client) })
	return flows
}

// play begins flows and has some of them answered, some of these with the client shown.
func play(t *testing.T, f *fakeTable) {
	t.Helper()
	for i := range 100 {
		client, dst := netip.AddrPortFrom(client1.Addr(), uint16(4001+i)), []netip.AddrPort{dst1, dst2}[i%2]
		if i%10 == 0 {
			client, dst = netip.AddrPortFrom(client6.Addr(), uint16(4001+i)), dst6
		}
		now := time.Duration(i) * time.Second
		got, verdict := f.datagram(keyOf(client, dst), 100+i, now)
		if verdict != route.Forwarded {
			t.Fatal(verdict)
		}
		got.fd = i
		if rand.IntN(2) == 0 {
			got.settle(route.ToOrigin, route.Forwarded, 1, 100+i)
			f.answer(got, append(got.header, 1, 2, 3), now+1)
		}
		if rand.IntN(2) == 0 {
			f.datagram(keyOf(client, dst), 1, now+2)
		}
	}
}

// TestAdoptStages: turns and the order in which flows give way travel; a flow that is shown
// to a version that asked for one turn stays so.
func TestAdoptStages(t *testing.T) {
	r := to(originAddr)
	r.AntiAmplification = true
	old, next := newFakeTable(10, live(r, dst1)), newFakeTable(10, live(r, dst1))
	keys := many(client1, 4)
	for i, k := range keys {
		old.datagram(k, 100, 1)
		for turn := range i * 3 { // 0, 3, 6, 9
			old.answer(old.flows[k], nil, 2)
			if turn > 0 { // the last word is the origin's
				old.datagram(k, 1, 3)
			}
		}
	}
	for _, f := range travel(t, old.export(0)) {
		next.adopt(f, 1)
	}
	for _, k := range keys {
		was, is := old.flows[k], next.flows[k]
		if was.stage != is.stage || was.turns != is.turns {
			t.Errorf("%v: stage %d, turns %d became %d, %d", k.client.Port, was.stage, was.turns, is.stage, is.turns)
		}
	}
	if a, b := old.crowds.kinds[owning].first(memberKey{}).key, next.crowds.kinds[owning].first(memberKey{}).key; a != b {
		t.Errorf("%v gives way first, then %v", a, b)
	}
	var former Flow
	check(t, json.Unmarshal([]byte(`{"client":"198.51.100.9:1","dst":"192.0.2.1:53","route":"test","origin":"10.0.0.5:9000","answered":true,"shown":true}`), &former))
	next.adopt(former, 1)
	if f := next.flows[former.key()]; f.stage != shown || !f.turns.shown() {
		t.Errorf("a flow of a former version that was shown: %+v", f)
	}
	next.endAll(route.IdleTimedOut, 1)
	checkNothingLeft(t, next)
}

// TestAdoptOrphan: a flow whose route the new file does not have ends, with its socket,
// but for one that another flow uses.
func TestAdoptOrphan(t *testing.T) {
	f := newFakeTable(10, live(to(originAddr), dst1))
	orphan := Flow{Client: client1, Dst: dst1, Route: "gone", Origin: originAddr, FD: open(t, originAddr.Addr())}
	lucky := Flow{Client: client2, Dst: dst1, Route: "test", Origin: originAddr, FD: open(t, originAddr.Addr())}
	sharing := orphan
	sharing.FD = lucky.FD
	l := loop{table: f.table}
	adopt([]*loop{&l}, []Flow{orphan, lucky, sharing})
	f.table = l.table
	if diff := cmp.Diff([]route.Verdict{route.NoRoute, route.NoRoute}, f.verdicts()); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if _, err := unix.FcntlInt(uintptr(orphan.FD), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the orphan's socket: %v, want it closed", err)
	}
	if _, err := unix.FcntlInt(uintptr(lucky.FD), unix.F_GETFD, 0); err != nil {
		t.Errorf("the socket of a flow that lives: %v", err)
	}
	f.endAll(route.IdleTimedOut, 2)
	f.records = nil
	checkNothingLeft(t, f)
}

// TestAdoptAfterChange: the file has changed with the upgrade, so that the route of a flow is
// there, and forwards its dst no more.
func TestAdoptAfterChange(t *testing.T) {
	r := to(originAddr)
	r.Drain = 30 * time.Second
	f := newFakeTable(10, live(r, dst1))
	f.epoch = time.Now()
	l := loop{table: f.table}
	flow := Flow{Client: client1, Dst: dst2, Route: "test", Origin: originAddr, FD: open(t, originAddr.Addr()), Answered: true, Begun: time.Now(), Last: time.Now()}
	adopt([]*loop{&l}, []Flow{flow})
	f.table = l.table
	if got := f.flows[flow.key()]; got == nil || got.cut == 0 {
		t.Errorf("the flow %+v is not drained", got)
	}
	f.endAll(route.IdleTimedOut, 2)
	f.records = nil
	checkNothingLeft(t, f)
}

// TestAdoptFormerOrigin: a flow stays with an origin that has left the file.
func TestAdoptFormerOrigin(t *testing.T) {
	f := newFakeTable(10, live(to(backupAddr), dst1))
	f.adopt(Flow{Client: client1, Dst: dst1, Route: "test", Origin: originAddr, FD: -1}, 1)
	got, verdict := f.datagram(keyOf(client1, dst1), 1, 2)
	if verdict != route.Forwarded || got.originAddr() != originAddr {
		t.Errorf("%v by %v, want the origin that it began with, %v", verdict, got.originAddr(), originAddr)
	}
	f.endAll(route.IdleTimedOut, 3)
	checkNothingLeft(t, f)
}

// FuzzAdopt reads what another version might send.
func FuzzAdopt(f *testing.F) {
	good, err := json.Marshal(Flow{Client: client1, Dst: dst1, Route: "test", Origin: originAddr, Header: []byte("header"), SPP: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"route":"test","client":"1.2.3.4:0"}`))
	f.Add([]byte(`{"route":"test","client":"[fe80::1%eth0]:1","dst":"[::ffff:1.2.3.4]:5","listener":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var in Flow
		if json.Unmarshal(text, &in) != nil || in.Check(1) != nil {
			return
		}
		in.FD = -1
		table := newFakeTable(10, live(to(originAddr), dst1))
		table.adopt(in, 1)
		table.adopt(in, 1) // once more is one too many
		if len(table.flows) > 1 {
			t.Fatalf("%d flows of one", len(table.flows))
		}
		for _, flow := range table.flows {
			table.answer(flow, []byte("reply"), 2)
		}
		table.expire(1 << 62)
		checkNothingLeft(t, table)
	})
}
