package steering

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/clock"
	"anyport/steering/table"
)

// MostTraceFilters is how many filters the program can look at: TRACERS in bpf/trace.h.
const MostTraceFilters = 8

// TraceFilter selects the packets that somebody wants to see.
type TraceFilter struct {
	Client netip.Prefix // not valid: any client
	Route  string       // "": any route, and ports that no route takes
}

// TraceEvent is what the program has decided about one packet.
type TraceEvent struct {
	At          time.Time
	Protocol    config.Protocol
	Client, Dst netip.AddrPort
	Route       string        // "": no route takes dst
	Verdict     table.Verdict // as it is counted
	Fate        table.Verdict // what becomes of the packet
	Reason      string        // why, where the verdict alone does not say it; else ""
	Knock       string        // what it was to a sequence of knocks: "", "step", or "opened"
}

// traceReasons are the words of enum reason.
var traceReasons = [bpf.SteerReasonREASONS]string{
	bpf.SteerReasonBY_CLIENT: "allow_deny", bpf.SteerReasonNO_DOOR: "no_open_door", bpf.SteerReasonBY_HOURS: "hours",
	bpf.SteerReasonBY_DRAIN: "draining", bpf.SteerReasonORIGIN_CLOSED: "closed_at_origin", bpf.SteerReasonNO_SOCKET: "no_socket_of_service",
	bpf.SteerReasonCONN_RATE: "new_conns_per_second", bpf.SteerReasonDATAGRAM_RATE: "datagrams_per_second", bpf.SteerReasonKNOCK_RATE: "knock_rate",
}

// traceKnocks are the words of enum knocked.
var traceKnocks = map[bpf.SteerKnocked]string{bpf.SteerKnockedSTEPPED: "step", bpf.SteerKnockedOPENED: "opened"}

// SetTrace has the program tell WatchTrace of the packets that match one of the filters from now on. Without
// a filter it runs as if there were no traces. The order matters: what a filter selects must be written
// before the program looks.
func (s *Steering) SetTrace(filters []TraceFilter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	if len(filters) > MostTraceFilters {
		return fmt.Errorf("%d filters, and the kernel's program has room for %d", len(filters), MostTraceFilters)
	}
	if err := s.objects.TraceFilters.Put(uint32(0), encodeTraceFilters(filters)); err != nil {
		return fmt.Errorf("write what to trace: %w", err)
	}
	before := s.tracing
	if s.tracing = len(filters) > 0; s.tracing == before {
		return nil
	}
	if err := s.putServing(s.generation); err != nil {
		s.tracing = before
		return fmt.Errorf("have the kernel trace, or stop it: %w", err)
	}
	return nil
}

func encodeTraceFilters(filters []TraceFilter) (all bpf.SteerTraceFilters) {
	for i, f := range filters {
		to := &all.Filter[i]
		to.Used = 1
		if f.Route != "" {
			to.Route = table.DoorID(f.Route)
		}
		if f.Client.IsValid() {
			to.Addr, to.Mask = bpfmaps.AddrWords(f.Client.Masked().Addr()), maskWords(f.Client)
		}
	}
	return all
}

// maskWords is the mask of a prefix over the 128 bits of its addresses, an IPv4 one as ::ffff:a.b.c.d.
func maskWords(p netip.Prefix) [4]uint32 {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	var mask [16]byte
	for i := range bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return bpfmaps.AddrWords(netip.AddrFrom16(mask))
}

// traceLook is how often WatchTrace looks for lost events.
const traceLook = time.Second

// WatchTrace calls each for the packets that SetTrace has asked for, and lost with the number of those for
// which the kernel had no room, until ctx ends. What another process has left unread is skipped.
func (s *Steering) WatchTrace(ctx context.Context, each func(TraceEvent), lost func(uint64)) error {
	w, err := s.openTraceReader(ctx)
	if w == nil || err != nil {
		return err
	}
	defer w.ring.close()
	for {
		switch sample, err := w.ring.read(time.Now().Add(traceLook)); {
		case errors.Is(err, os.ErrClosed):
			return nil
		case err == nil:
			w.tell(sample, each)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("read what the kernel traces: %w", err)
		}
		if n := w.lostSince(); n > 0 {
			lost(n)
		}
	}
}

// traceReader is the state of one WatchTrace, on its goroutine.
type traceReader struct {
	s      *Steering
	ring   *ring
	epoch  time.Time     // a moment
	zero   time.Duration // the same by the clock of the events
	lost   uint64        // at the last look
	looked time.Time
}

// openTraceReader returns nil if the steering is closed.
func (s *Steering) openTraceReader(ctx context.Context) (w *traceReader, err error) {
	w = &traceReader{s: s}
	w.epoch, w.zero = traceEpoch()
	w.lostSince() // those before are of other traces
	if w.ring, err = s.openRing(ctx, bpf.SteerMapTraceEvents); w.ring == nil {
		return nil, err
	}
	return w, nil
}

// traceEpoch reads a moment by two clocks: of some tries, the one in which least time has passed between.
func traceEpoch() (at time.Time, monotonic time.Duration) {
	least := time.Duration(-1)
	for range 10 {
		before := time.Now()
		now := clock.Monotonic()
		if took := time.Since(before); least < 0 || took < least {
			least, at, monotonic = took, before.Add(took/2), now
		}
	}
	return at, monotonic
}

// tell calls each for a record. One with numbers that this build does not know is of a newer one, whose program has
// run until an upgrade to it was taken back.
func (w *traceReader) tell(sample []byte, each func(TraceEvent)) {
	raw, ok := decodeRecord[bpf.SteerTraceEvent](sample)
	if !ok || time.Duration(raw.At) < w.zero {
		return
	}
	if raw.Verdict >= bpf.SteerVerdictVERDICTS || raw.Fate >= bpf.SteerVerdictVERDICTS || raw.Reason >= bpf.SteerReasonREASONS {
		return
	}
	e := decodeTraceEvent(&raw)
	e.At = w.epoch.Add(time.Duration(raw.At) - w.zero)
	each(e)
}

func decodeTraceEvent(raw *bpf.SteerTraceEvent) TraceEvent {
	return TraceEvent{
		Protocol: protocolOf(uint32(raw.Protocol)),
		Client:   netip.AddrPortFrom(bpfmaps.AddrOfWords(raw.Client), clientPort(raw.ClientPort)),
		Dst:      netip.AddrPortFrom(bpfmaps.AddrOfWords(raw.Dst), raw.Port),
		Route:    strings.TrimRight(string(raw.Route[:]), "\x00"),
		Verdict:  bpfmaps.VerdictOf(raw.Verdict), Fate: bpfmaps.VerdictOf(raw.Fate),
		Reason: traceReasons[raw.Reason], Knock: traceKnocks[raw.Knocked],
	}
}

// protocolOf is a protocol by its number in IP.
func protocolOf(number uint32) config.Protocol {
	if number == unix.IPPROTO_UDP {
		return config.UDP
	}
	return config.TCP
}

// clientPort is a port that is in network byte order in a word of this machine's.
func clientPort(raw uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, raw))
}

// lostSince is how many events were lost since the last look, which is made once in traceLook.
func (w *traceReader) lostSince() uint64 {
	now := time.Now()
	if now.Sub(w.looked) < traceLook {
		return 0
	}
	w.looked = now
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	var all uint64
	if w.s.isClosed() || w.s.objects.TraceLost.Lookup(uint32(0), &all) != nil {
		return 0
	}
	n := all - w.lost
	w.lost = all
	return n
}
