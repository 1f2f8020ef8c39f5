package fastpath

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/bpf/fastflow"
)

// places gives flows their places. The mapping grows with the flows, as mapped pages belong to the
// memory of a process. Its owner has a mutex.
type places struct {
	fd     int
	chunks [2 * maxFlows / chunkFlows]*[chunkFlows]usage // nil: not mapped yet; the second half is the ways to clients
	taken  [maxFlows / 64]uint64                         // a bit for each place: it is not unused, as far as known
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
func (p *places) at(number uint32) (at place, err error) {
	if at.toOrigin, err = p.usage(number); err == nil {
		at.toClient, err = p.usage(maxFlows + number)
	}
	return at, err
}

func (p *places) usage(index uint32) (*usage, error) {
	chunk := &p.chunks[index/chunkFlows]
	if *chunk == nil {
		mapped, err := unix.Mmap(p.fd, int64(index/chunkFlows)*int64(chunkBytes), chunkBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return nil, fmt.Errorf("map the counters of the fast path: %w", err)
		}
		*chunk = (*[chunkFlows]usage)(unsafe.Pointer(unsafe.SliceData(mapped)))
	}
	return &(*chunk)[index%chunkFlows], nil
}

// of is the place of a flow, by its id.
func (p *places) of(id uint64) (at place, ok bool) {
	at, err := p.at(uint32(id % maxFlows))
	return at, err == nil && at.id() == id
}

// live reports whether a flow has its place, and its entries.
func (p *places) live(id uint64) bool {
	at, ok := p.of(id)
	return ok && (at.state() == single || at.state() == sharing)
}

// take gives a flow the first unused place, which counts from zero, and an id that no flow had before.
func (p *places) take(state uint32) (uint64, error) {
	for {
		number, ok := p.next()
		if !ok {
			return 0, fastflow.Full
		}
		p.taken[number/64] |= 1 << (number % 64)
		at, err := p.at(number)
		if err != nil {
			return 0, err
		}
		if !atomic.CompareAndSwapUint32(&at.toOrigin.State, unused, state) {
			p.foreign = true
			continue
		}
		id := max(at.id(), uint64(number)) + maxFlows
		at.toOrigin.begin(id)
		at.toClient.begin(id)
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
	for number := range uint32(maxFlows) {
		at, err := p.usage(number)
		if err != nil || atomic.LoadUint32(&at.State) != unused {
			p.taken[number/64] |= 1 << (number % 64)
			p.foreign = true
		} else {
			p.taken[number/64] &^= 1 << (number % 64)
		}
	}
}

// give ends the use of a place. A run of the program that has the id of before does not count any more.
func (p *places) give(id uint64) {
	number := uint32(id % maxFlows)
	if at, ok := p.of(id); ok {
		atomic.StoreUint64(&at.toClient.Id, id+maxFlows)
		atomic.StoreUint64(&at.toOrigin.Id, id+maxFlows)
		at.setState(unused)
		p.taken[number/64] &^= 1 << (number % 64)
	}
}

// adopt makes the places of a process that has died those of this one, if keep says so of their ids, and
// gives up all others.
func (p *places) adopt(keep map[uint64]bool) error {
	for number := range uint32(maxFlows) {
		at, err := p.usage(number)
		if err != nil {
			return err
		}
		if at.State == unused {
			continue
		}
		p.taken[number/64] |= 1 << (number % 64)
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
		first := i % (maxFlows / chunkFlows) * chunkFlows / 64
		for _, word := range p.taken[first : first+chunkFlows/64] {
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
