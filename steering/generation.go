package steering

import (
	"errors"
	"fmt"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
	"anyport/steering/table"
)

// half returns the room of a generation in the maps: the arrays are divided in two.
func (s *Steering) half(generation uint32) bpfmaps.Half {
	return bpfmaps.Half{
		Maps:       &s.objects.SteerMaps,
		Generation: generation % 2,
		Intervals:  s.objects.Intervals.MaxEntries() / 2,
		Bindings:   s.objects.Bindings.MaxEntries() / 2,
		Trie:       s.objects.PrefixesV4.MaxEntries() / 2, // the others are as large
		Admissions: s.objects.Admitted.MaxEntries(),
		ValidUntil: s.validUntil,
	}
}

// Bits of serving.half, as in bpf/prefixes.h.
const (
	traced  = 2 // TRACED: the program tells of packets
	onTrial = 4 // ON_TRIAL: the other half serves some clients
	probed  = 8 // PROBED: the programs of a fleet ask for sockets

	sharedConns = 16 // SHARED: another process takes the TCP conns of some clients
)

// flip makes the half of generation the one that the program reads.
func (s *Steering) flip(generation uint32) error {
	if err := s.putServing(generation); err != nil {
		return fmt.Errorf("flip the generation: %w", err)
	}
	return s.switchProgram(generation)
}

// putServing writes which half the program reads, whether it traces or expects probes, and whether the other half or
// another process serves some clients. Only the lowest byte of what the program reads ever changes, so no packet meets half a word.
func (s *Steering) putServing(generation uint32) error {
	serving := bpf.SteerServing{Half: generation % 2, Tables: generation}
	if s.tracing {
		serving.Half |= traced
	}
	if s.trial != nil {
		serving.Half |= onTrial
	}
	if s.probed {
		serving.Half |= probed
	}
	if s.shared {
		serving.Half |= sharedConns
	}
	return s.objects.Generation.Put(uint32(0), serving)
}

// ExpectProbes has the program look whether the programs of a fleet ask for a socket, for they are to take no
// token and to change no counter. Only while they are attached: each lookup pays for it.
func (s *Steering) ExpectProbes(on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probed == on || s.isClosed() {
		return nil
	}
	s.probed = on
	if err := s.putServing(s.generation); err != nil {
		s.probed = !on
		return fmt.Errorf("tell the program about the fleet: %w", err)
	}
	return nil
}

// servedTables reads how many tables have served, by the kernel.
func (s *Steering) servedTables() (uint32, error) {
	serving, err := s.readServing()
	return serving.Tables, err
}

func (s *Steering) readServing() (serving bpf.SteerServing, err error) {
	if err = s.objects.Generation.Lookup(uint32(0), &serving); err != nil {
		return serving, fmt.Errorf("read the generation: %w", err)
	}
	return serving, nil
}

// eraseIdle empties the idle half, once no run of the program can still be reading it,
// so that there is room for the next table.
func (s *Steering) eraseIdle() error {
	if s.idleTable == nil {
		return nil
	}
	if err := s.loaded.GracePeriod.Wait(); err != nil {
		return fmt.Errorf("wait for a grace period: %w", err)
	}
	if err := s.half(s.generation + 1).Erase(s.idleTable); err != nil {
		return fmt.Errorf("erase a table that does not serve: %w", err)
	}
	s.idleTable = nil
	return nil
}

// readGeneration learns from the maps what another process has put in service. If that process died while a
// table was on trial, the table before serves all clients from now on: each of the two halves has all prefixes.
func (s *Steering) readGeneration() (err error) {
	serving, err := s.readServing()
	if err != nil {
		return err
	}
	s.generation = serving.Tables
	if serving.Half&(onTrial|sharedConns) != 0 {
		if err = s.putServing(s.generation); err != nil {
			return fmt.Errorf("end the trial of a dead process: %w", err)
		}
	}
	s.table, s.idleTable = table.Unknown, table.Unknown
	s.numbers, err = s.half(s.generation).Numbers()
	return err
}

// resetRoutes makes a clean start for the routes that are not in service yet: their numbers
// may have had other owners.
func (s *Steering) resetRoutes(numbers map[string]uint32) error {
	for name, number := range numbers {
		if _, serving := s.numbers[name]; serving {
			continue
		}
		if err := errors.Join(s.resetNumber(number), s.closeDoors(name)); err != nil {
			return fmt.Errorf("clear what the kernel keeps of route %q: %w", name, err)
		}
	}
	return nil
}

// resetNumber has the kernel forget what a former owner of the number has left: counters of all
// CPUs, the token bucket, and whether it drains.
func (s *Steering) resetNumber(number uint32) error {
	if err := clearVerdicts(s.objects.Counters, number); err != nil {
		return err
	}
	if err := s.objects.Buckets.Put(number, bpf.SteerBucket{}); err != nil {
		return err
	}
	return s.objects.Drains.Put(number, bpfmaps.Flag(false))
}
