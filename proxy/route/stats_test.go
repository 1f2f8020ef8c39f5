package route

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/bpf/fastflow"
	"anyport/config"
	"anyport/proxy/trend"
)

func TestTotals(t *testing.T) {
	l := NewLive(3)
	l.Swap(nothing{}, []*config.Route{{Name: "r"}})
	stats := l.Set().Routes[0].Stats
	for i := range 3 {
		c := stats.Shard(i)
		c.End(config.TCP, Closed)
		c.End(config.UDP, IdleTimedOut)
		c.Bytes(config.TCP, ToClient, 100)
		c.Bytes(config.UDP, ToOrigin, 10+i)
		c.Datagrams(ToOrigin, Forwarded, 5)
		c.Datagrams(ToClient, Amplified, 1)
		c.HeldBack(1000)
		c.FastDatagrams(ToOrigin, 4)
		c.FastRefused(FastHeader)
		c.Connected(time.Millisecond)
		c.Waited(time.Second)
		c.Served(config.UDP, time.Minute)
		c.Retried(i > 0)
	}
	stats.Shard(1).End(config.UDP, Evicted)
	stats.Shard(2).Connected(time.Hour)
	want := Totals{
		Ended: map[config.Protocol]map[Verdict]uint64{
			config.TCP: {Closed: 3}, config.UDP: {IdleTimedOut: 3, Evicted: 1}},
		Bytes: map[config.Protocol]map[Direction]uint64{
			config.TCP: {ToClient: 300}, config.UDP: {ToOrigin: 33}},
		Datagrams: map[Direction]map[Verdict]uint64{
			ToOrigin: {Forwarded: 15}, ToClient: {Amplified: 3}},
		HeldBack: 3000,
		Sessions: map[config.Protocol]trend.Sum{config.UDP: {Count: 3, Total: 3 * time.Minute}},
		Retries:  3, Moves: 2,

		Fast:        map[Direction]uint64{ToOrigin: 12},
		FastRefused: map[FastReason]uint64{FastHeader: 3},
	}
	want.Waits.Counts[12], want.Waits.Sum = 3, 3*time.Second
	want.Connects.Counts[3], want.Connects.Counts[len(Bounds)] = 3, 1
	want.Connects.Sum = time.Hour + 3*time.Millisecond
	if diff := cmp.Diff(want, stats.Totals()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFastReasons: each reason has a word of its own and a sentence, and each refusal of the kernel's side
// is one of them.
func TestFastReasons(t *testing.T) {
	seen := map[string]bool{}
	for r := range FastReasons {
		if r.String() == "" || seen[r.String()] || r.Sentence() == "" {
			t.Errorf("reason %d: %q, %q", r, r, r.Sentence())
		}
		seen[r.String()] = true
	}
	for _, refusal := range []fastflow.Refusal{fastflow.Full, fastflow.Unrouted, fastflow.Device, fastflow.Families, fastflow.Broken} {
		if got := FastReasonOf(refusal); got.String() != string(refusal) {
			t.Errorf("refusal %q is reason %v", refusal, got)
		}
	}
	if got := FastReasonOf(fastflow.Off); got != FastUnavailable {
		t.Errorf("a kernel without the program: %v", got)
	}
	if got := FastReasonOf("of a later version"); got != FastBroken {
		t.Errorf("an unknown refusal is %v", got)
	}
}

// TestTotalsWhileCounting is for the race detector.
func TestTotalsWhileCounting(t *testing.T) {
	stats := newStats(1)
	var loop sync.WaitGroup
	loop.Go(func() {
		for range 1000 {
			stats.Shard(0).End(config.TCP, Closed)
			stats.Shard(0).Datagrams(ToOrigin, Forwarded, 1)
			stats.Shard(0).Bytes(config.UDP, ToOrigin, 1)
			stats.Shard(0).Connected(time.Second)
		}
	})
	for last := uint64(0); last < 1000; {
		now := stats.Totals().Ended[config.TCP][Closed]
		if now < last {
			t.Fatalf("%d came after %d", now, last)
		}
		last = now
	}
	loop.Wait()
}
