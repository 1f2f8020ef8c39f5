package fastpath

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/bpf/fastflow"
	"anyport/steering/clock"
)

// usage is what the program counts of a flow: a place in the map fast_usage, which is mapped into this
// process. So what it says costs no system call.
type usage = bpf.FastFlowUsage

// The values of usage.State. Processes that have the map in common, during an upgrade, see each other's.
const (
	unused  uint32 = iota
	single         // the flow has its entries
	sharing        // the same, and that of its answers belongs to other flows, too
	left           // its entries were removed
)

// places gives flows their places. The mapping grows with the flows, as mapped pages belong to the
// memory of a process. Its owner has a mutex.
type places struct {
	fd     int
	chunks [maxFlows / chunkFlows]*[chunkFlows]usage // nil: not mapped yet
	taken  [maxFlows / 64]uint64                     // a bit for each place: it is not unused, as far as known
	// Places that another process had when they were looked at may be unused by now.
	foreign bool
	looked  time.Time
}

const (
	maxFlows   = 1 << 17 // FAST_FLOWS of fast.h
	chunkFlows = 1 << 12
	chunkBytes = chunkFlows * int(unsafe.Sizeof(usage{}))
)

// at is a place. It maps memory if need be.
func (p *places) at(place uint32) (*usage, error) {
	chunk := &p.chunks[place/chunkFlows]
	if *chunk == nil {
		mapped, err := unix.Mmap(p.fd, int64(place/chunkFlows)*int64(chunkBytes), chunkBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return nil, fmt.Errorf("map the counters of the fast path: %w", err)
		}
		*chunk = (*[chunkFlows]usage)(unsafe.Pointer(unsafe.SliceData(mapped)))
	}
	return &(*chunk)[place%chunkFlows], nil
}

// of is the place of a flow, by its id.
func (p *places) of(id uint64) *usage {
	place, err := p.at(uint32(id % maxFlows))
	if err != nil || atomic.LoadUint64(&place.Id) != id {
		return nil
	}
	return place
}

// live reports whether a flow has its place, and its entries.
func (p *places) live(id uint64) bool {
	at := p.of(id)
	return at != nil && (at.State == single || at.State == sharing)
}

// take gives a flow the first unused place, which counts from zero, and an id that no flow had before.
func (p *places) take(state uint32) (uint64, error) {
	for {
		place, ok := p.next()
		if !ok {
			return 0, fastflow.Full
		}
		p.taken[place/64] |= 1 << (place % 64)
		at, err := p.at(place)
		if err != nil {
			return 0, err
		}
		if !atomic.CompareAndSwapUint32(&at.State, unused, state) {
			p.foreign = true
			continue
		}
		id := max(atomic.LoadUint64(&at.Id), uint64(place)) + maxFlows
		at.ToOrigin.Packets, at.ToOrigin.Bytes, at.ToClient.Packets, at.ToClient.Bytes = 0, 0, 0, 0
		at.OriginMtu, at.ClientMtu, at.Last = 0, 0, uint64(clock.Monotonic())
		atomic.StoreUint64(&at.Id, id)
		return id, nil
	}
}

// next finds an unused place.
func (p *places) next() (uint32, bool) {
	for again := false; ; again = true {
		for i, word := range p.taken {
			if word != 1<<64-1 {
				return uint32(i*64 + bits.TrailingZeros64(^word)), true
			}
		}
		if again || !p.foreign || time.Since(p.looked) < time.Second {
			return 0, false
		}
		p.look()
	}
}

// look notes which places are in use by anybody.
func (p *places) look() {
	p.looked, p.foreign = time.Now(), false
	for place := range uint32(maxFlows) {
		at, err := p.at(place)
		if err != nil || atomic.LoadUint32(&at.State) != unused {
			p.taken[place/64] |= 1 << (place % 64)
			p.foreign = true
		} else {
			p.taken[place/64] &^= 1 << (place % 64)
		}
	}
}

// give ends the use of a place. A run of the program that has the id of before does not count any more.
func (p *places) give(id uint64) {
	place := uint32(id % maxFlows)
	if at := p.of(id); at != nil {
		atomic.StoreUint64(&at.Id, id+maxFlows)
		atomic.StoreUint32(&at.State, unused)
		p.taken[place/64] &^= 1 << (place % 64)
	}
}

// adopt makes the places of a process that has died those of this one, if keep says so of their ids, and
// gives up all others.
func (p *places) adopt(keep map[uint64]bool) error {
	for place := range uint32(maxFlows) {
		at, err := p.at(place)
		if err != nil {
			return err
		}
		if at.State == unused {
			continue
		}
		p.taken[place/64] |= 1 << (place % 64)
		if !keep[at.Id] {
			p.give(at.Id)
		}
	}
	p.shrink()
	return nil
}

// shrink ends the mapping of what no flow uses.
func (p *places) shrink() {
	for i := range p.chunks {
		var used uint64
		for _, word := range p.taken[i*chunkFlows/64 : (i+1)*chunkFlows/64] {
			used |= word
		}
		if used == 0 {
			p.unmap(i)
		}
	}
}

func (p *places) unmap(chunk int) {
	if mapped := p.chunks[chunk]; mapped != nil {
		_ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(mapped)), chunkBytes)) // it fails for no mapping of ours
		p.chunks[chunk] = nil
	}
}

// close ends the mapping. No place may be used afterwards.
func (p *places) close() {
	for i := range p.chunks {
		p.unmap(i)
	}
}

// usageOf is what the program has counted, as of now by the program's clock.
func usageOf(counted *usage, now time.Duration) fastflow.Usage {
	return fastflow.Usage{
		ToOrigin: fastflow.Count{Packets: atomic.LoadUint64(&counted.ToOrigin.Packets), Bytes: atomic.LoadUint64(&counted.ToOrigin.Bytes)},
		ToClient: fastflow.Count{Packets: atomic.LoadUint64(&counted.ToClient.Packets), Bytes: atomic.LoadUint64(&counted.ToClient.Bytes)},
		Quiet:    max(0, now-time.Duration(atomic.LoadUint64(&counted.Last))),
	}
}
