package program

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"anyport/bpf"
	"anyport/config"
)

// Feature is one thing that the steering needs of the kernel.
type Feature struct {
	Name  string
	Since string // the first Linux that has it
	For   string // what does not work without it; "": nothing does
	Err   error  // nil: it is there; errors.ErrUnsupported: it is not; any other error: it is not known
}

// probes ask for one thing each, the steering program itself after what it needs: it fails
// for the want of any of these, and would not say which.
var probes = []struct {
	name, since, use string
	have             func() error
}{
	{"LPM tries", "4.11", "", func() error { return features.HaveMapType(ebpf.LPMTrie) }},
	{"LRU hashes", "4.10", "", func() error { return features.HaveMapType(ebpf.LRUHash) }},
	{"socket maps", "4.18", "", func() error { return features.HaveMapType(ebpf.SockMap) }},
	{"sk_lookup programs", "5.9", "", func() error { return features.HaveProgramType(ebpf.SkLookup) }},
	{"bpf_sk_assign", "5.9", "", func() error { return features.HaveProgramHelper(ebpf.SkLookup, asm.FnSkAssign) }},
	{"the steering program", "5.9", "", haveSteer},
	{"the program of transparent routes", "5.2", "routes with `transparent` are refused", haveReturning},
	{"test runs of sk_lookup programs", "5.13", "`anyport explain` cannot ask the program in the kernel", haveTestRun},
}

// Probe asks the kernel for what the steering needs by trying it. Nothing stays
// loaded, and nothing is attached. It needs the capabilities that [Open] needs.
func Probe() []Feature {
	all := make([]Feature, len(probes))
	for i, p := range probes {
		err := p.have()
		if errors.Is(err, ebpf.ErrNotSupported) {
			err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
		}
		err = classify(err)
		all[i] = Feature{Name: p.name, Since: p.since, For: p.use, Err: err}
	}
	return all
}

// Since reports whether the kernel is Linux major.minor or a later one; false: it is not, or its version is not
// known. It is for what cannot be probed.
func Since(major, minor uint32) bool {
	version, err := features.LinuxVersionCode()
	return err == nil && version >= major<<16|minor<<8
}

// haveSteer asks the verifier, which accepts different programs in each release of the kernel.
func haveSteer() error {
	liftMemlock()
	var objects bpf.SteerObjects
	if err := bpf.LoadSteerObjects(&objects, nil); err != nil {
		return err
	}
	return objects.Close()
}

// haveReturning asks the verifier about mark_returning.
func haveReturning() error {
	var objects bpf.ReturningObjects
	if err := bpf.LoadReturningObjects(&objects, nil); err != nil {
		return err
	}
	return objects.Close()
}

// haveTestRun runs a program that passes everything: only since Linux 5.13 can sk_lookup programs
// be run without a packet.
func haveTestRun() error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SkLookup, AttachType: ebpf.AttachSkLookup, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, SKPass), asm.Return()},
	})
	if err != nil {
		return err
	}
	defer p.Close()
	loopback := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), AnyPort)
	_, err = TestRun(p, Packet{config.TCP, loopback, loopback}.Context(0), 1)
	return err
}
