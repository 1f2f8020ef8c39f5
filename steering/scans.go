package steering

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/bpfmaps"
)

// Scan is a packet to a port that nobody serves: a SYN, or a datagram.
type Scan struct {
	Protocol config.Protocol
	Client   netip.Addr
	Dst      netip.AddrPort
}

// Bounds of a round of reports: see bpf/scans.h. To sum up a report takes a few microseconds, so of a flood that
// reaches every CPU this is a few percent of one.
const (
	scanRound     = 100 * time.Millisecond
	mostScans     = 512  // of all CPUs in a round,
	leastScans    = 32   // of each one at least,
	mostCPUScans  = 256  // and at most
	mostScanBatch = 2048 // more than the ring has room for
)

// scansOfCPU is how many packets each of so many CPUs may report in a round.
func scansOfCPU(cpus int) uint32 {
	return uint32(min(max(mostScans/cpus, leastScans), mostCPUScans))
}

// WatchScans calls report with what the kernel has reported, at most once in each round, until ctx ends. What the
// process before has not read comes first. The slice is used again. It returns early only if the kernel cannot tell.
//
// While nothing is reported, it waits in the kernel without a timer.
func (s *Steering) WatchScans(ctx context.Context, report func([]Scan)) error {
	ring, err := s.openRing(ctx, bpf.SteerMapScans)
	if ring == nil || err != nil {
		return err
	}
	defer ring.close()
	w := scanWatch{ring: ring}
	for ctx.Err() == nil {
		if err := s.BeginScans(); err != nil {
			return err
		}
		batch, err := w.read()
		if len(batch) > 0 {
			report(batch)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, os.ErrClosed) {
			return fmt.Errorf("read the scans: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(scanRound):
		}
	}
	return nil
}

// scanWatch reads the ring of scans. It belongs to the goroutine of WatchScans.
type scanWatch struct {
	ring  *ring
	batch []Scan
}

// BeginScans lets the kernel report again, for a round; WatchScans does so for each that follows. The number of the
// round is taken from the map, where the process before has left it.
func (s *Steering) BeginScans() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	var round bpf.SteerScanRound
	err := s.objects.ScanRound.Lookup(uint32(0), &round)
	if err == nil {
		round.Number, round.Most = round.Number+1, scansOfCPU(runtime.NumCPU())
		err = s.objects.ScanRound.Put(uint32(0), round)
	}
	if err != nil {
		return fmt.Errorf("begin a round of scans: %w", err)
	}
	return nil
}

// read waits for a report and reads all that there are.
func (w *scanWatch) read() ([]Scan, error) {
	w.batch = w.batch[:0]
	var wait time.Time // without end
	for len(w.batch) < mostScanBatch {
		sample, err := w.ring.read(wait)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return w.batch, err
		}
		if raw, ok := decodeRecord[bpf.SteerTuple](sample); ok {
			w.batch = append(w.batch, Scan{
				Protocol: protocolOf(raw.Protocol),
				Client:   bpfmaps.AddrOfWords(raw.Client),
				Dst:      netip.AddrPortFrom(bpfmaps.AddrOfWords(raw.Dst), raw.Port),
			})
		}
		wait = time.Unix(1, 0) // is over: no more waiting
	}
	return w.batch, nil
}

// ScanCounts are packets to ports that nobody serves, since the program was loaded.
type ScanCounts struct {
	Reported uint64
	Skipped  uint64 // more than a round may have
}

// ScanCounts reads them.
func (s *Steering) ScanCounts() (sum ScanCounts, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return sum, nil
	}
	var cpus []bpf.SteerScanShare
	if err := s.objects.ScanShare.Lookup(uint32(0), &cpus); err != nil {
		return sum, fmt.Errorf("read the counters of scans: %w", err)
	}
	for _, c := range cpus {
		sum.Reported += c.Reported
		sum.Skipped += c.Skipped
	}
	return sum, nil
}
