package fastpath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"anyport/bpf"
)

// Objects are the program and the maps that user space needs, in the kernel. The program holds the
// other maps.
type Objects struct {
	Program    *ebpf.Program `ebpf:"forward_admitted"`
	Flows      *ebpf.Map     `ebpf:"fast_flows"`
	Usage      *ebpf.Map     `ebpf:"fast_usage"`
	Generation *ebpf.Map     `ebpf:"fast_generation"`
}

// Load loads the program and makes its maps. It needs CAP_BPF and CAP_NET_ADMIN.
func Load() (*Objects, error) {
	spec, err := spec()
	if err != nil {
		return nil, err
	}
	o := new(Objects)
	if err := spec.LoadAndAssign(o, nil); err != nil {
		return nil, fmt.Errorf("load the program forward_admitted: %w", err)
	}
	return o, nil
}

// spec is the program for this kernel.
func spec() (*ebpf.CollectionSpec, error) {
	spec, err := bpf.LoadFast()
	if err != nil {
		return nil, err
	}
	if features.HaveProgramHelper(ebpf.SchedCLS, asm.FnKtimeGetCoarseNs) == nil {
		err = spec.Variables[bpf.FastVarHasCoarseClock].Set(uint32(1))
	}
	return spec, errors.Join(err, spec.Variables[bpf.FastVarIpv6Flag].Set(ipv6Flag()))
}

// ipv6Flag is BPF_F_IPV6 of linux/bpf.h where the kernel knows it: with the features of Linux 6.16.
func ipv6Flag() uint32 {
	const bpfFIPv6 = 1 << 7
	if version, err := features.LinuxVersionCode(); err == nil && version >= 6<<16|16<<8 {
		return bpfFIPv6
	}
	return 0
}

// Close closes the descriptors. What is attached or pinned stays.
func (o *Objects) Close() error {
	if o == nil {
		return nil
	}
	return errors.Join(o.Program.Close(), o.Flows.Close(), o.Usage.Close(), o.Generation.Close())
}

// monotonic is the clock of the program, in ns.
func monotonic() uint64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return uint64(t.Nano())
}

// sinceBoot counts suspended time, too.
func sinceBoot() uint64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return uint64(t.Nano())
}
