package fleet

import (
	"fmt"
	"time"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
	"anyport/steering/clock"
)

// quiet is QUIET of fleet.h.
const quiet = 2

// convokedFor is how long the programs may go by the peers that they were told of, without being told again. The
// maps of a dead process, or of one that gets no CPU, do not say which peers have come since.
const convokedFor = 3 * helloInterval

// probeAll asks the peers that are alive about no conn, and has the programs know who is silent.
func (f *Fleet) probeAll() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.socket == nil {
		return nil
	}
	b := aboutNoConn(f.options.Local, f.options.Key)
	for a := range f.members.all {
		var h bpf.FleetHeard
		if f.objects.heard.Lookup(bpfmaps.AddrWords(a), &h) == nil {
			f.members.listen(a, time.Duration(h.At), time.Duration(h.Answered))
		}
		if f.members.probe(a) {
			f.sendBytes(b, a)
		}
	}
	f.members.hark(clock.Monotonic())
	return f.writeAll(f.device)
}

// convoke tells the programs whose word it takes that nobody has a conn, unless another process has gone on with
// the maps: its peers have other bits. The caller holds mu, and has told them about the peers.
func (f *Fleet) convoke() error {
	var there bpf.FleetNeeded
	if err := f.objects.needed.Lookup(uint32(0), &there); err != nil {
		return fmt.Errorf("read whose word it takes: %w", err)
	}
	if f.convoked == 0 || there.Since > uint64(f.convoked) {
		return nil
	}
	now := clock.Monotonic()
	return f.objects.needed.Put(uint32(0), bpf.FleetNeeded{
		Bits: f.members.needed(time.Now()), Since: uint64(f.convoked), Until: uint64(now + convokedFor),
	})
}

// dismiss has no words of peers be enough until the bits of the peers are known again. The caller holds mu.
func (f *Fleet) dismiss() error {
	f.convoked = 0
	if err := f.objects.needed.Put(uint32(0), bpf.FleetNeeded{Since: uint64(clock.Monotonic())}); err != nil {
		return fmt.Errorf("tell the kernel to wait for peers: %w", err)
	}
	return nil
}
