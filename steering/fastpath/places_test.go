package fastpath

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"anyport/bpf/fastflow"
	"anyport/steering/netnstest"
)

// openPlaces are those of two processes that have the map in common.
func openPlaces(t *testing.T) (both [2]*places) {
	t.Helper()
	netnstest.Enter(t)
	o, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for i := range both {
		p := &places{fd: o.Usage.FD()}
		both[i] = p
		t.Cleanup(p.close)
	}
	t.Cleanup(func() { o.Close() })
	return both
}

// TestPlaces: whatever two processes take and give back, no flow has the place of another one, or an id
// that there was before, and each counts from zero.
func TestPlaces(t *testing.T) {
	both := openPlaces(t)
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	var held [2][]uint64
	before, taken := map[uint64]bool{}, map[uint64]bool{}
	for range 20_000 {
		who := dice.IntN(2)
		p, mine := both[who], &held[who]
		if len(*mine) > 0 && dice.IntN(100) < 48 {
			i := dice.IntN(len(*mine))
			id := (*mine)[i]
			p.give(id)
			if _, ok := p.of(id); ok {
				t.Fatalf("flow %d has a place after it was given back", id)
			}
			delete(taken, id%maxFlows)
			*mine = append((*mine)[:i], (*mine)[i+1:]...)
			continue
		}
		id, err := p.take(single)
		if err != nil {
			t.Fatal(err)
		}
		at, ok := p.of(id)
		if !ok || before[id] || taken[id%maxFlows] {
			t.Fatalf("flow %d: place %v, an id of before %v, a place of another flow %v", id, ok, before[id], taken[id%maxFlows])
		}
		for _, way := range []*usage{at.toOrigin, at.toClient} {
			if way.Id != id || way.Packets+way.Bytes > 0 || way.Mtu > 0 {
				t.Fatalf("flow %d begins with %+v", id, way)
			}
			way.Packets, way.Bytes, way.Mtu = 1, 2, 3
		}
		before[id], taken[id%maxFlows] = true, true
		*mine = append(*mine, id)
	}
}

// TestPlacesFull: the table ends where it is full, and what another process gives back is found.
func TestPlacesFull(t *testing.T) {
	both := openPlaces(t)
	var last uint64
	for i := range maxFlows {
		id, err := both[i%2].take(single)
		if err != nil {
			t.Fatalf("flow %d: %v", i, err)
		}
		last = id
	}
	full := func() bool {
		_, err := both[0].take(single)
		return errors.Is(err, fastflow.Full)
	}
	if !full() {
		t.Error("there is a place beyond the last one")
	}
	both[1].give(last)
	both[0].looked = time.Time{}
	if full() {
		t.Error("the place of the other process is not found")
	}
}

// TestMemoryInKernel: an entry fits into what the kernel allocates 192 bytes for, where a pointer is added
// to it and an entry has a part of its own, and what is counted of a way fits into a cache line.
func TestMemoryInKernel(t *testing.T) {
	const part, pointer = 48, 8
	if size := part + (unsafe.Sizeof(key{})+7)&^7 + unsafe.Sizeof(entry{}) + pointer; size > 192 {
		t.Errorf("an entry takes %d bytes", size)
	}
	if size := unsafe.Sizeof(usage{}); size != 64 {
		t.Errorf("the counters of a way take %d bytes", size)
	}
}
