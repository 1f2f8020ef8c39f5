package fastpath

import (
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/bpf/fastflow"
	"anyport/steering/bpfmaps"
	"anyport/steering/clock"
)

// leastMemory is for how long a flow is remembered at least: with very many flows what the kernel has forwarded is
// counted every 30 s (see proxy.countIntervalMax), and a flow may be idle for one.
const leastMemory = 40 * time.Second

// RememberIn has [Path.Remember] write into the map of flows that the steering program has admitted. It stays the
// caller's. Call it before the first flow is admitted.
func (p *Path) RememberIn(admitted *ebpf.Map) {
	if p != nil {
		p.remembered = admitted
	}
}

// Remember has the steering program take the datagrams of f for those of a flow that it has admitted, from now on
// for its idle time.
func (p *Path) Remember(f fastflow.Flow) {
	if p == nil || p.remembered == nil {
		return
	}
	k := bpf.SteerTuple{
		Client: bpfmaps.AddrWords(f.Client.Addr()), Dst: bpfmaps.AddrWords(f.Dst.Addr()),
		Protocol: unix.IPPROTO_UDP, ClientPort: inverted(f.Client.Port()), Port: f.Dst.Port(),
	}
	until := bpf.SteerAdmission{Until: uint64(clock.Monotonic() + max(f.Idle, leastMemory))}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.objects == nil { // closed
		return
	}
	if err := p.remembered.Put(k, until); err != nil {
		p.log.Debug("the steering program may refuse a live flow", "client", f.Client, "dst", f.Dst, "error", err)
	}
}
