package saved

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/proxy"
)

// someCounts returns counters of routes and origins, in the order of EachCount.
func someCounts(r *rand.Rand) (ids []proxy.CounterID, counts Counts) {
	counts = Counts{}
	add := func(id proxy.CounterID) {
		if r.IntN(2) == 0 {
			ids = append(ids, id)
			counts[id] = r.Uint64() >> r.IntN(64)
		}
	}
	keys := []string{"a", "bytes", "ended/closed", ""}
	for route := range r.IntN(5) {
		name := fmt.Sprint("r", route)
		if route == 0 {
			name = ""
		}
		for _, key := range keys {
			add(proxy.CounterID{Route: name, Key: key})
		}
		for origin := range r.IntN(3) {
			for _, key := range keys {
				add(proxy.CounterID{Route: name, Origin: fmt.Sprint("o", origin), Key: key})
			}
		}
	}
	return ids, counts
}

// TestRoundTrip reads back what was written, in whatever order it came.
func TestRoundTrip(t *testing.T) {
	e := encoder{room: math.MaxInt32}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		ids, want := someCounts(r)
		if seed%2 == 0 {
			r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		}
		absorbed := []uint64{7, math.MaxUint64}[:r.IntN(3)]
		if err := e.begin(absorbed, []byte("orders")); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			e.count(id, want[id])
		}
		got, err := decode(e.bytes)
		if err != nil || string(got.orders) != "orders" || len(got.absorbed) != len(absorbed) {
			t.Fatalf("seed %d: %+v, %v", seed, got, err)
		}
		if diff := cmp.Diff(want, got.counts); diff != "" {
			t.Fatalf("seed %d: -want +got:\n%s", seed, diff)
		}
	}
}

// TestFull leaves out what has no room, and keeps what it has.
func TestFull(t *testing.T) {
	for room := range 200 {
		e := encoder{room: room}
		if err := e.begin(nil, []byte("orders")); (err != nil) != (room < 8) {
			t.Errorf("room for %d bytes: orders: %v", room, err)
		} else if err != nil {
			continue
		}
		for i := range 10 {
			e.count(proxy.CounterID{Route: "web", Key: fmt.Sprint("key", i)}, uint64(i))
		}
		got, err := decode(e.bytes)
		if err != nil || len(e.bytes) > room || e.full != (len(got.counts) < 10) {
			t.Errorf("room for %d bytes: %d of them, full %v, %d counters, %v", room, len(e.bytes), e.full, len(got.counts), err)
		}
		for id, n := range got.counts {
			if id.Key != fmt.Sprint("key", n) {
				t.Errorf("room for %d bytes: %v is %d", room, id, n)
			}
		}
	}
}

// FuzzDecode: whatever the memory holds, it is read or refused, and what is read can be written again.
func FuzzDecode(f *testing.F) {
	e := encoder{room: math.MaxInt32}
	r := rand.New(rand.NewPCG(1, 0))
	for range 5 {
		ids, counts := someCounts(r)
		_ = e.begin([]uint64{3}, []byte("{}"))
		for _, id := range ids {
			e.count(id, counts[id])
		}
		f.Add(append([]byte{}, e.bytes...))
		f.Add(append([]byte{}, e.bytes[:len(e.bytes)/2]...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decode(b)
		if err != nil {
			return
		}
		e := encoder{room: math.MaxInt32}
		if err := e.begin(c.absorbed, c.orders); err != nil {
			t.Fatal(err)
		}
		for id, n := range c.counts {
			e.count(id, n)
		}
		again, err := decode(e.bytes)
		if diff := cmp.Diff(c, again, cmp.AllowUnexported(content{})); diff != "" || err != nil {
			t.Fatalf("%v; -want +got:\n%s", err, diff)
		}
	})
}
