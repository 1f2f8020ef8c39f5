package origin

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// sources counts the live conns to one origin by the source address that they were dialled from: one of
// the route's source, or the zero address where the kernel chooses. An address keeps its place, which a conn remembers in two
// bytes. The zero value is ready; it is safe for concurrent use.
type sources struct {
	mu  sync.Mutex                   // held to add one
	all atomic.Pointer[[]*sourceUse] // only ever appended to
}

// sourceUse is one source address of an origin.
type sourceUse struct {
	addr  netip.Addr
	conns atomic.Int64
}

// BeginFrom counts a conn to o from a source address; the zero one is the kernel's choice. The caller owes EndFrom with the number that it
// returns.
func (o *Origin) BeginFrom(source netip.Addr) (number uint16) {
	s := &o.counts.sources
	number = s.find(source)
	if number == 0 {
		number = s.add(source)
	}
	if number > 0 {
		(*s.all.Load())[number-1].conns.Add(1)
	}
	return number
}

// EndFrom undoes BeginFrom; 0 is a conn that was not counted.
func (o *Origin) EndFrom(number uint16) {
	if number > 0 {
		(*o.counts.sources.all.Load())[number-1].conns.Add(-1)
	}
}

// SourcePorts is the number of live conns from each source address, and so of local ports in use.
func (o *Origin) SourcePorts() map[netip.Addr]int64 {
	used := map[netip.Addr]int64{}
	if all := o.counts.sources.all.Load(); all != nil {
		for _, s := range *all {
			used[s.addr] = s.conns.Load()
		}
	}
	return used
}

// find returns the number of an address, from 1 on; 0: it has none yet.
func (s *sources) find(source netip.Addr) uint16 {
	if all := s.all.Load(); all != nil {
		for i, u := range *all {
			if u.addr == source {
				return uint16(i + 1)
			}
		}
	}
	return 0
}

// sourcesMost bounds the addresses that are counted, over all reloads.
const sourcesMost = 1024

// add gives an address its number; 0 if there are too many.
func (s *sources) add(source netip.Addr) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.find(source); n > 0 { // another loop was faster
		return n
	}
	var all []*sourceUse
	if before := s.all.Load(); before != nil {
		all = append(all, *before...)
	}
	if len(all) == sourcesMost {
		return 0
	}
	all = append(all, &sourceUse{addr: source})
	s.all.Store(&all)
	return uint16(len(all))
}
